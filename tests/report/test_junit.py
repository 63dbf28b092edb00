"""The JUnit file has the structure that CI systems expect, and folds no verdict."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from lab.cli.run_options import ReportOptions
from lab.errors import LabError
from lab.report.jsonl import JsonLines
from lab.report.junit import JUnit
from lab.runner.bus import Bus
from lab.runner.events import Event, RunResumed, RunStarted, ScenarioFinished
from lab.runner.verdict import ScenarioResult, Verdict


@pytest.fixture
def root(tmp_path: Path, events: list[Event]) -> ET.Element:
    report = JUnit()
    for event in events:
        report.handle(event)
    report.close()
    return ET.parse(tmp_path / "junit.xml").getroot()


def test_counts_are_those_of_the_cases(root: ET.Element) -> None:
    assert root.tag == "testsuites"
    for place in [root, *root]:
        assert int(place.get("tests", "")) == len(list(place.iter("testcase")))
        for key, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(place.get(key, "")) == len(list(place.iter(tag)))


def test_every_suite_and_case_has_its_place_and_time(root: ET.Element) -> None:
    assert [suite.get("name") for suite in root] == ["overflow", "cbt", "power"]
    for suite in root:
        assert suite.tag == "testsuite"
        assert suite.get("timestamp") == "1970-01-01T00:01:40"
        assert {child.tag for child in suite} == {"testcase"}
        for case in suite:
            assert case.get("classname") == suite.get("name")
            assert float(case.get("time", "")) >= 0
            kinds = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
            assert len(kinds) <= 1


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("failed", "failure"),
        ("splat", "failure"),
        ("panic", "failure"),
        ("hang", "error"),
        ("lost", "error"),
        ("error", "error"),
        ("skipped", "skipped"),
    ],
)
def test_each_verdict_is_told_by_its_own_word(root: ET.Element, name: str, tag: str) -> None:
    (case,) = (case for case in root.iter("testcase") if case.get("name") == name)
    child = case.find(tag)
    assert child is not None
    assert child.get("message")
    assert tag == "skipped" or child.get("type") == name
    pairs = [(p.get("name"), p.get("value")) for p in case.iter("property")]
    assert pairs == [("verdict", name), ("kernel", "6.1"), ("proves", "K18"), ("proves", "K19")]


def test_the_same_scenario_on_two_kernels_is_two_cases(tmp_path: Path) -> None:
    report = JUnit()
    report.handle(RunStarted(folder=str(tmp_path), command="", scenarios=("cbt/a",)))
    for kernel, verdict in (("6.1", Verdict.PASSED), ("6.12", Verdict.SKIPPED)):
        result = ScenarioResult("cbt/a", verdict, kernel, label=f"{kernel}/cbt/a")
        report.handle(ScenarioFinished(scenario="cbt/a", kernel=kernel, result=result))
    report.close()
    root = ET.parse(tmp_path / "junit.xml").getroot()
    assert [suite.get("name") for suite in root] == ["6.1/cbt", "6.12/cbt"]
    values = [p.get("value") for p in root.iter("property") if p.get("name") == "kernel"]
    assert values == ["6.1", "6.12"]
    assert root[0].find("testcase/skipped") is None
    assert root[1].find("testcase/skipped") is not None


def test_passed_has_no_child_but_properties_and_place(root: ET.Element) -> None:
    (case,) = (case for case in root.iter("testcase") if case.get("name") == "passed")
    assert {child.tag for child in case} == {"properties", "system-out"}


def test_what_was_not_run_is_an_error(root: ET.Element) -> None:
    (case,) = root.findall("testsuite[@name='power']/testcase")
    assert case.find("error[@type='not run']") is not None


def test_characters_that_xml_cannot_hold_do_not_break_it(root: ET.Element) -> None:
    (case,) = (case for case in root.iter("testcase") if case.get("name") == "splat")
    failure = case.find("failure")
    assert failure is not None
    assert "\ufffd[0m & <odd>" in failure.get("message", "")


def test_a_run_that_goes_on_has_what_it_had_come_to(
    tmp_path: Path, results: list[ScenarioResult]
) -> None:
    report = JUnit()
    common: Any = {"folder": str(tmp_path), "command": "", "scenarios": ("cbt/a",)}
    report.handle(RunResumed(**common, earlier=tuple(results), began=86400.0))
    report.close()
    (first, *_) = suites = ET.parse(tmp_path / "junit.xml").getroot().findall("testsuite")
    assert first.get("timestamp") == "1970-01-02T00:00:00"
    assert sum(len(one.findall("testcase")) for one in suites) == len(results)


def test_a_run_that_never_began_leaves_an_older_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "all.xml"
    path.write_text("of an older run")
    JUnit(path).close()
    assert path.read_text() == "of an older run"


def test_a_file_that_cannot_be_written_costs_no_other(tmp_path: Path) -> None:
    (tmp_path / "no-file").mkdir()
    run = RunStarted(folder=str(tmp_path / "run"), command="", scenarios=("cbt/a",))
    options = ReportOptions(junit=tmp_path / "no-file", jsonl=tmp_path / "no-file")
    bus = Bus([one for one in options.listeners() if isinstance(one, JUnit | JsonLines)])
    bus.emit(run)
    with pytest.raises(LabError, match=r"incomplete: JsonLines: .*; JUnit: "):
        bus.close()
    assert ET.parse(tmp_path / "run/junit.xml").getroot().tag == "testsuites"
    assert "RunStarted" in (tmp_path / "run/events.jsonl").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["no-file", "run"]

"""Two runs are compared result by result."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab.cli.main import app
from lab.report.difference import Difference, Kind, difference
from lab.report.difference_text import lines, page
from lab.report.stored import read_run
from lab.runner.verdict import Verdict

from .results import Made, make_results
from .test_html import parsed, words

BEFORE = [
    Made("cbt/same"),
    Made("cbt/breaks"),
    Made("cbt/breaks", kernel="6.12"),
    Made("cbt/mended", Verdict.PANIC),
    Made("cbt/worse", Verdict.FAILED),
    Made("cbt/gone"),
    Made("cbt/skips"),
    Made("load/slow", duration=10.0, take=40.0, reports={"blocks": 100, "words": "no figure"}),
    Made("load/a bit slower", duration=10.0),
]
AFTER = [
    Made("cbt/same"),
    Made("cbt/breaks"),
    Made("cbt/breaks", Verdict.FAILED, "6.12"),
    Made("cbt/mended"),
    Made("cbt/worse", Verdict.HANG),
    Made("cbt/skips", Verdict.SKIPPED),
    Made("cbt/new"),
    Made("load/slow", duration=30.0, take=100.0, reports={"blocks": 50}),
    Made("load/a bit slower", duration=11.0),
]


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    return make_results(tmp_path / "one", BEFORE), make_results(tmp_path / "two", AFTER)


@pytest.fixture
def found(folders: tuple[Path, Path]) -> Difference:
    return difference(*map(read_run, folders))


def test_verdicts_that_changed_are_told_the_worst_first(found: Difference) -> None:
    told = [(change.kind, change.name, change.kernel) for change in found.changes]
    assert told == [
        (Kind.BROKEN, "cbt/breaks", "6.12"),
        (Kind.CHANGED, "cbt/worse", "6.1"),
        (Kind.CHANGED, "cbt/skips", "6.1"),
        (Kind.MENDED, "cbt/mended", "6.1"),
        (Kind.NEW, "cbt/new", "6.1"),
        (Kind.GONE, "cbt/gone", "6.1"),
    ]
    assert found.changes[0].command == "ci/scenarios --kernel=6.12 cbt/breaks"
    assert found.worse
    assert found.compared == 8


def test_durations_are_told_if_they_differ_by_much(found: Difference) -> None:
    assert [(one.name, one.ratio) for one in found.durations] == [("load/slow", 3.0)]
    # four passed in both: once, once, 3 times, 1.1 times
    assert found.typical == pytest.approx((3 * 1.1) ** 0.25)


def test_what_was_measured_in_passing_has_its_ratio(found: Difference) -> None:
    figures = {one.what: one.ratio for one in found.figures if one.name == "load/slow"}
    assert figures["blocks"] == 0.5
    assert figures["take, median"] == 2.5
    assert 1.8 < figures["writes of writers, held, half"] < 3.2
    assert figures["writes of writers, not held, half"] == 1.0
    assert "words" not in figures
    shown = [line for line in lines(found) if "writes of writers" in line and "->" in line]
    assert any(", held, half:" in line for line in shown)
    assert not any("not held" in line for line in shown)


def test_a_run_compared_with_itself_shows_no_difference(folders: tuple[Path, Path]) -> None:
    run = read_run(folders[0])
    same = difference(run, run)
    assert not same.worse
    assert not same.changes
    assert not same.durations
    assert same.typical == pytest.approx(1.0)
    assert same.figures
    told = list(lines(same))
    assert "all verdicts are the same" in told
    assert not [line for line in told if "x  6.1" in line or "measured in passing" in line]
    assert "Measured in passing" not in words(parsed(page(same)))


def test_runs_on_one_kernel_each_are_compared_kernel_with_kernel(tmp_path: Path) -> None:
    one = make_results(tmp_path / "one", [Made("cbt/a"), Made("cbt/b")])
    two = [Made("cbt/a", kernel="6.12"), Made("cbt/b", Verdict.FAILED, "6.12")]
    found = difference(read_run(one), read_run(make_results(tmp_path / "two", two)))
    assert found.compared == 2
    assert [(change.name, change.kernel) for change in found.changes] == [("cbt/b", "6.1, 6.12")]


def test_the_command_shows_it_and_tells_by_its_status(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    one, two = map(str, folders)
    path = tmp_path / "out.html"
    out = CliRunner().invoke(app, ["compare", one, two, "--html", str(path)])
    assert out.exit_code == 1
    assert "passed -> failed" in out.output
    assert "again: ci/scenarios --kernel=6.12 cbt/breaks" in out.output
    assert "  3.00x  6.1   load/slow" in out.output
    assert "\x1b" not in out.output
    assert CliRunner().invoke(app, ["compare", one, one]).exit_code == 0
    told = CliRunner().invoke(app, ["compare", one, two, "--json"])
    record = json.loads(told.output)
    assert record["worse"] is True
    assert record["durations"][0]["ratio"] == 3.0
    assert record["changes"][0]["after"] == "failed"


def test_the_page_is_without_mistakes_and_loads_nothing(found: Difference) -> None:
    document = parsed(page(found))
    assert "cbt/breaks" in words(document)
    links = [one.get(key) for one in document.iter() for key in ("href", "src") if one.get(key)]
    assert links == ["data:,"]

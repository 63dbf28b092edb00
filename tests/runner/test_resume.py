"""A run that was ended early goes on: nothing twice, nothing left out, and of the same thing."""

from __future__ import annotations

import json
import re
import shutil
import signal
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from lab.cli import run as command
from lab.cli.main import app
from lab.errors import UsageError
from lab.report.jsonl import JsonLines
from lab.report.junit import JUnit
from lab.report.stored import read_run
from lab.runner.engine import RunSettings, run
from lab.runner.events import RunResumed, ScenarioStarted
from lab.runner.folder import mend_last_line, new_run_folder, old_run_folder
from lab.runner.resume import Earlier
from lab.runner.verdict import RunResult, Verdict
from lab.scenario.load import parse_scenario

from .conftest import CYCLE, Recorder
from .fake_guest import FakeIdentity, FakeTemplate

SCENARIOS = [parse_scenario(CYCLE, f"g/{name}", "f") for name in "ab"]


def go(
    results: Path, template: FakeTemplate, earlier: Earlier | None = None, **settings: Any
) -> tuple[RunResult, Recorder]:
    """Run both scenarios, with the reports that a run has."""
    recorder = Recorder()
    chosen = RunSettings(results, **settings)
    listeners = [recorder, JUnit(), JsonLines()]
    result = run(SCENARIOS, chosen, listeners, lambda _p, _k, _m: template, earlier)
    return result, recorder


def earlier_of(folder: Path) -> Earlier:
    """What a run has come to, as the command has it."""
    mend_last_line(folder / "events.jsonl")
    before = read_run(folder)
    results = tuple(one.result() for one in before.scenarios)
    held = old_run_folder(folder)
    return Earlier(held, before.started, before.duration, results, before.facts)


def kill(folder: Path, finished: int) -> None:
    """Leave of a run what is there if it was killed while the next scenario was under way, and the
    next event was being written."""
    lines = (folder / "events.jsonl").read_text().splitlines(keepends=True)
    ends = [n for n, line in enumerate(lines) if '"event": "ScenarioFinished"' in line]
    last = ends[finished - 1] + 3
    torn = lines[last][: len(lines[last]) // 2]
    (folder / "events.jsonl").write_text("".join([*lines[:last], torn]))
    for line in lines[last:]:
        event = json.loads(line)
        if event["event"] == "ScenarioStarted":
            shutil.rmtree(folder / place(event["scenario"], event["repeat"]))
    for name in ("run.json", "junit.xml"):
        (folder / name).unlink()


def place(name: str, repeat: int) -> str:
    return name if repeat == 1 else f"{name}.{repeat}"


def ran(recorder: Recorder) -> list[tuple[str, int]]:
    """What was begun, in order."""
    begun = (one for one in recorder.events if isinstance(one, ScenarioStarted))
    return [(one.scenario, one.repeat) for one in begun]


def test_a_repeated_run_goes_round_by_round_on_all_kernels(tmp_path: Path) -> None:
    _, recorder = go(tmp_path, FakeTemplate(), repeat=2, kernels=("6.1", "6.12"))
    begun = [one for one in recorder.events if isinstance(one, ScenarioStarted)]
    assert [(one.repeat, one.kernel, one.scenario) for one in begun] == [
        (repeat, kernel, f"g/{name}")
        for repeat in (1, 2)
        for kernel in ("6.1", "6.12")
        for name in "ab"
    ]


def test_a_killed_run_goes_on_with_what_was_under_way(tmp_path: Path) -> None:
    first, _ = go(tmp_path, FakeTemplate(), repeat=3)
    assert first.folder is not None
    kill(first.folder, 3)
    template = FakeTemplate()
    result, recorder = go(tmp_path, template, earlier_of(first.folder), repeat=3)
    assert ran(recorder) == [("g/b", 2), ("g/a", 3), ("g/b", 3)]
    assert len(template.guests) == 3
    (resumed,) = (one for one in recorder.events if isinstance(one, RunResumed))
    assert resumed.under_way == ("g/b (2)",)
    assert [(one.name, one.repeat) for one in resumed.earlier] == [
        ("g/a", 1),
        ("g/b", 1),
        ("g/a", 2),
    ]
    assert (first.folder / "g/b.2.cut-off/scenario.yaml").is_file()
    assert (first.folder / "g/b.2/verdict.json").is_file()
    assert result.green
    assert result.folder == first.folder
    assert [(one.name, one.repeat) for one in result.results] == [
        (f"g/{name}", repeat) for repeat in (1, 2, 3) for name in "ab"
    ]


def test_the_record_of_a_run_that_went_on_is_that_of_one_run(tmp_path: Path) -> None:
    first, _ = go(tmp_path, FakeTemplate(), repeat=3)
    assert first.folder is not None
    kill(first.folder, 2)
    assert not read_run(first.folder).finished
    go(tmp_path, FakeTemplate(), earlier_of(first.folder), repeat=3)
    lines = (first.folder / "events.jsonl").read_text().splitlines()
    assert all(json.loads(line) for line in lines)
    stored = read_run(first.folder)
    assert stored.green
    assert len(stored.scenarios) == len({one.key for one in stored.scenarios}) == 6
    cases = ET.parse(first.folder / "junit.xml").getroot().iter("testcase")
    assert sorted(case.get("name", "") for case in cases) == sorted(
        f"{name}{suffix}" for name in "ab" for suffix in ("", " (2)", " (3)")
    )
    assert len(json.loads((first.folder / "run.json").read_text())["results"]) == 6


def test_what_was_red_stays_red_and_is_not_tried_again(tmp_path: Path) -> None:
    first, _ = go(tmp_path, FakeTemplate(frozenset({"image too short"})), repeat=2)
    assert first.folder is not None
    kill(first.folder, 1)
    result, _ = go(tmp_path, FakeTemplate(), earlier_of(first.folder), repeat=2)
    assert [one.verdict for one in result.results] == [Verdict.FAILED] + [Verdict.PASSED] * 3
    assert not result.green
    red = result.results[0]
    assert red.findings == first.results[0].findings
    failed = ET.parse(first.folder / "junit.xml").getroot().findall(".//failure")
    assert len(failed) == 1


def test_an_interrupted_run_goes_on_as_often_as_wanted(tmp_path: Path) -> None:
    def interrupted(earlier: Earlier | None, at: int) -> RunResult:
        """A run that gets SIGINT in its `at`-th take."""
        template, takes = FakeTemplate(), [0]

        def on_request(op: str) -> None:
            takes[0] += op == "snapshot_take"
            if op == "snapshot_take" and takes[0] == at:
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
                while not template.guests[-1].cut:
                    time.sleep(0.005)

        template.on_request = on_request
        return go(tmp_path, template, earlier, repeat=2)[0]

    # Each scenario takes twice: its own, and that of the check of the next increment.
    first = interrupted(None, 3)
    assert first.folder is not None
    assert first.interrupted
    assert first.not_run == ("g/b", "g/a (2)", "g/b (2)")
    second = interrupted(earlier_of(first.folder), 5)
    assert second.not_run == ("g/b (2)",)
    third, recorder = go(tmp_path, FakeTemplate(), earlier_of(first.folder), repeat=2)
    assert ran(recorder) == [("g/b", 2)]
    assert third.green
    assert read_run(first.folder).finished
    assert third.duration > second.duration > first.duration
    again, recorder = go(tmp_path, FakeTemplate(), earlier_of(first.folder), repeat=2)
    assert again.green
    assert not ran(recorder)


def test_a_run_does_not_go_on_with_another_guest(tmp_path: Path) -> None:
    first, _ = go(tmp_path, FakeTemplate(), repeat=2)
    assert first.folder is not None
    kill(first.folder, 1)
    earlier = earlier_of(first.folder)
    before = (first.folder / "events.jsonl").read_text()
    other = FakeTemplate(identity=FakeIdentity(kernel_release="6.1.0-other", module="4567"))
    with pytest.raises(UsageError, match=r"the kernel on 6\.1, the module on 6\.1") as caught:
        go(tmp_path, other, earlier, repeat=2)
    assert "command.txt" in caught.value.remedy
    assert (first.folder / "events.jsonl").read_text() == before
    assert not (first.folder / "junit.xml").exists()
    assert go(tmp_path, FakeTemplate(), earlier_of(first.folder), repeat=2)[0].green


def test_a_run_that_is_under_way_is_left_alone(tmp_path: Path) -> None:
    held = new_run_folder(tmp_path)
    with pytest.raises(UsageError, match="still under way"):
        old_run_folder(held.path)
    held.close()
    old_run_folder(held.path).close()


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ("", ""),
        ('{"a": 1}\n', '{"a": 1}\n'),
        ('{"a": 1}\n{"b": "x', '{"a": 1}\n'),
        ('{"a": 1}\n{"b": 2}', '{"a": 1}\n{"b": 2}\n'),
        ('{"a"', ""),
    ],
)
def test_half_a_line_at_the_end_is_cut_off(tmp_path: Path, text: str, mended: str) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(text)
    mend_last_line(path)
    assert path.read_text() == mended
    mend_last_line(tmp_path / "none")
    assert not (tmp_path / "none").exists()


class Lab:
    """The command `run`, with two scenarios, sources of a module, and guests that are made up."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.template = FakeTemplate()
        self.prepared = 0
        for name in "ab":
            self.write(f"scenarios/g/{name}.yaml", CYCLE)
        self.write("module/Makefile", "obj-m := a.o\n")
        self.write("module/a.c", "int x;\n")

    def write(self, name: str, text: str) -> None:
        path = self.top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def prepare(self, *_: object) -> FakeTemplate:
        self.prepared += 1
        return self.template

    def begin(self, *words: str) -> Result:
        folders = [f"--{name}={self.top / name}" for name in ("scenarios", "module", "results")]
        return CliRunner().invoke(app, ["run", *folders, "--repeat=2", "--jobs=1", *words])

    def resume(self, *words: str, where: str = "results/latest") -> Result:
        return CliRunner().invoke(app, ["run", "--resume", str(self.top / where), *words])

    @property
    def folder(self) -> Path:
        return (self.top / "results/latest").resolve()


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    made = Lab(tmp_path)
    monkeypatch.setenv("BLKSNAP_LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(command, "prepare", made.prepare)
    monkeypatch.setattr(command, "require_programs", lambda: None)
    yield made


def test_the_folder_alone_is_enough_to_go_on(lab: Lab, tmp_path: Path) -> None:
    junit = tmp_path / "all.xml"
    assert lab.begin("--junit", str(junit), "--keep-failed").exit_code == 0
    kill(lab.folder, 1)
    junit.unlink()
    told = (lab.folder / "command.txt").read_text()
    assert "--jobs 1 --repeat 2 --keep-failed" in told
    lab.template = FakeTemplate()
    done = lab.resume()
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0].startswith("going on: 2 scenarios, 1 of 4 runs are done")
    assert lines[1] == "under way when it ended, run again: g/b"
    assert "rounds: 2 of 2 done" in lines
    assert any(line.startswith("flake rate: 0 of 4 runs were red;") for line in lines)
    assert any(line.startswith("green: 4 passed in") for line in lines)
    assert lab.template.keepable == [True] * 3
    assert len(ET.parse(junit).getroot().findall(".//testcase")) == 4
    assert (lab.folder / "command.txt").read_text() == told


def test_other_options_are_refused(lab: Lab) -> None:
    assert lab.begin().exit_code == 0
    kill(lab.folder, 1)
    words = ["--repeat=3", "--kernel=6.12", "--memory=2GiB", "--results=x", "--long", "g/a"]
    done = lab.resume(*words)
    assert isinstance(done.exception, UsageError)
    for name in ("--repeat", "--kernel", "--memory", "--results", "--long", "g/a"):
        assert name in done.exception.what
    assert lab.resume("--slowest=1").exit_code == 0


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("module/a.c", "int y;\n", "since: the module"),
        ("module/flavour.yaml", "module: acme\n", "since: the module"),
        ("scenarios/g/b.yaml", CYCLE.replace("64KiB", "32KiB"), "since: scenario g/b"),
        ("scenarios/g/b.yaml", "", r"since: scenario g/b \(gone\)"),
    ],
)
def test_a_run_does_not_go_on_with_something_else(
    lab: Lab, file: str, text: str, told: str
) -> None:
    assert lab.begin().exit_code == 0
    kill(lab.folder, 1)
    before, lab.prepared = (lab.folder / "events.jsonl").read_text(), 0
    lab.write(file, text)
    if not text:
        (lab.top / file).unlink()
    done = lab.resume()
    assert isinstance(done.exception, UsageError)
    assert re.search(told, done.exception.what)
    assert "put that back as it was, or begin anew" in done.exception.remedy
    assert lab.prepared == 0
    assert before.startswith((lab.folder / "events.jsonl").read_text())


def test_a_folder_of_no_run_is_refused(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for where in ("empty", "nowhere", "scenarios/g/a.yaml"):
        done = lab.resume(where=where)
        assert isinstance(done.exception, UsageError)
        assert "holds no results of a run" in done.exception.what
        assert "e.g. results/latest" in done.exception.remedy


def test_a_run_of_an_older_lab_is_refused(lab: Lab) -> None:
    assert lab.begin().exit_code == 0
    path = lab.folder / "events.jsonl"
    first, _, rest = path.read_text().partition("\n")
    begin = json.loads(first)
    del begin["basis"]
    path.write_text(f"{json.dumps(begin)}\n{rest}")
    done = lab.resume()
    assert isinstance(done.exception, UsageError)
    assert "an older lab's" in done.exception.what


def test_a_run_that_came_to_its_end_is_summed_up_again(lab: Lab) -> None:
    assert lab.begin().exit_code == 0
    lab.prepared = 0
    done = lab.resume()
    assert done.exit_code == 0
    assert "4 of 4 runs are done" in done.output
    assert "green: 4 passed" in done.output
    assert lab.prepared == 0

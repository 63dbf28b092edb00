"""Runs: order, jobs, repeats, interruption, exit status, a module that does not compile."""

from __future__ import annotations

import json
import signal
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.errors import EnvironmentLack, LabError, UsageError
from lab.image import kernel_named
from lab.modbuild import ModuleBuildFailed
from lab.report.junit import JUnit
from lab.runner import engine, folder
from lab.runner.engine import RunSettings, run
from lab.runner.events import (
    GuestReady,
    Listener,
    RunFinished,
    RunStarted,
    ScenarioStarted,
    StepStarted,
)
from lab.runner.folder import HostDiskFull
from lab.runner.scenario_run import Place
from lab.runner.verdict import ExitStatus, RunResult, ScenarioResult, Verdict
from lab.scenario.load import parse_scenario

from .conftest import CYCLE, Recorder
from .fake_guest import SECTIONS, FakeTemplate, Misfortune

RunAll = Callable[..., RunResult]


def test_a_green_run_is_complete_and_ends_with_0(run_all: RunAll, recorder: Recorder) -> None:
    result = run_all(CYCLE, CYCLE, CYCLE)
    assert result.green
    assert result.exit_status is ExitStatus.GREEN
    assert isinstance(recorder.events[0], RunStarted)
    assert isinstance(recorder.events[-1], RunFinished)
    assert recorder.closed == 1


def test_one_that_did_not_pass_makes_the_run_red(run_all: RunAll) -> None:
    wrong = CYCLE + "  - expect_error: {errno: EIO, step: {read: {device: a}}}\n"
    result = run_all(CYCLE, wrong)
    assert [one.verdict for one in result.results] == [Verdict.PASSED, Verdict.FAILED]
    assert result.exit_status is ExitStatus.NOT_ALL_PASSED


def test_errors_of_the_lab_alone_end_with_4(run_all: RunAll) -> None:
    template = FakeTemplate(misfortunes=(Misfortune("klog_mark", "bug in the lab"),))
    assert run_all(CYCLE, template=template).exit_status is ExitStatus.LAB_FAILED


def test_nothing_selected_is_a_usage_error(run_all: RunAll) -> None:
    with pytest.raises(UsageError):
        run_all()


def test_results_without_any_run_are_not_green() -> None:
    nothing = RunResult(results=(), duration=0, folder=None, selected=0)
    assert not nothing.green
    assert nothing.exit_status is ExitStatus.USAGE
    missing = RunResult(
        results=(ScenarioResult("a", Verdict.PASSED),), duration=0, folder=None, selected=2
    )
    assert not missing.green
    assert missing.exit_status is ExitStatus.NOT_ALL_PASSED


def test_repeats_are_kept_apart(run_all: RunAll) -> None:
    result = run_all(CYCLE, repeat=3)
    assert [one.repeat for one in result.results] == [1, 2, 3]
    assert len({one.folder for one in result.results}) == 3


def test_jobs_run_at_the_same_time_and_results_stay_in_order(run_all: RunAll) -> None:
    both = threading.Barrier(2, timeout=20)
    template = FakeTemplate(on_request=lambda op: op == "klog_mark" and both.wait())
    result = run_all(CYCLE, CYCLE, template=template, jobs=2)
    assert [one.name for one in result.results] == ["group/s0", "group/s1"]
    assert result.green


def test_an_interrupted_run_cuts_its_guests_and_names_what_was_not_run(
    run_all: RunAll, recorder: Recorder
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    release = threading.Event()

    def on_request(op: str) -> None:
        if op == "snapshot_take":
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
            release.wait(20)

    template = FakeTemplate(on_request=on_request)
    watcher = threading.Thread(target=_release_when_cut, args=(template, release))
    watcher.start()
    result = run_all(CYCLE, CYCLE, template=template)
    watcher.join()
    assert result.interrupted
    assert result.not_run == ("group/s0", "group/s1")
    assert result.exit_status is ExitStatus.INTERRUPTED
    assert template.guests[0].cut
    assert len([e for e in recorder.events if isinstance(e, ScenarioStarted)]) == 1
    assert signal.getsignal(signal.SIGTERM) is before


def _release_when_cut(template: FakeTemplate, release: threading.Event) -> None:
    for _ in range(2000):
        if template.guests and template.guests[0].cut:
            break
        release.wait(0.005)
    release.set()


def test_a_module_that_does_not_compile_is_an_error_of_each_scenario(
    tmp_path: Path, recorder: Recorder
) -> None:
    def prepare(_progress: object, _kernel: object, _memory: object) -> FakeTemplate:
        raise ModuleBuildFailed(Path("m"), "CC x.o\nx.c:1:2: error: expected ';'\nmake: *** [x]\n")

    scenarios = [parse_scenario(CYCLE, f"g/{n}", "f") for n in "ab"]
    result = run(scenarios, RunSettings(results=tmp_path), [recorder], prepare)
    assert [one.verdict for one in result.results] == [Verdict.ERROR] * 2
    assert any("expected ';'" in line for line in result.results[0].findings[0].detail)
    assert result.exit_status is ExitStatus.NOT_ALL_PASSED
    assert result.folder is not None
    assert "CC x.o" in (result.folder / "module-build-6.1.log").read_text()


def test_every_scenario_is_run_on_every_kernel_and_each_has_its_own_verdict(
    tmp_path: Path, recorder: Recorder
) -> None:
    def prepare(_progress: object, kernel: str, _memory: object) -> FakeTemplate:
        return FakeTemplate(frozenset({"no copy before write"} if kernel == "6.12" else ()))

    scenarios = [parse_scenario(CYCLE, f"g/{n}", "f") for n in "ab"]
    settings = RunSettings(tmp_path, command=("lab",), kernels=("6.1", "6.12"))
    result = run(scenarios, settings, [recorder], prepare)
    told = [(one.kernel, one.label, one.verdict) for one in result.results]
    assert told == [
        ("6.1", "6.1/g/a", Verdict.PASSED),
        ("6.1", "6.1/g/b", Verdict.PASSED),
        ("6.12", "6.12/g/a", Verdict.FAILED),
        ("6.12", "6.12/g/b", Verdict.FAILED),
    ]
    assert not result.green
    assert [one.command for one in result.results[1:3]] == ["lab g/b", "lab --kernel=6.12 g/a"]
    assert result.folder is not None
    assert (result.folder / "6.12/g/a/verdict.json").is_file()
    steps = [event.kernel for event in recorder.events if isinstance(event, StepStarted)]
    assert steps == ["6.1"] * (len(steps) // 2) + ["6.12"] * (len(steps) // 2)
    ready = [event.kernel for event in recorder.events if isinstance(event, GuestReady)]
    assert ready == ["6.1", "6.12"]


def test_a_kernel_for_which_the_module_does_not_compile_makes_the_run_red(
    tmp_path: Path, recorder: Recorder
) -> None:
    def prepare(_progress: object, kernel: str, _memory: object) -> FakeTemplate:
        if kernel == "6.1":
            raise ModuleBuildFailed(Path("m"), "x.c:1:2: error: expected ';'\n")
        return FakeTemplate()

    settings = RunSettings(tmp_path, kernels=("6.1", "6.12"))
    result = run([parse_scenario(CYCLE, "g/a", "f")], settings, [recorder], prepare)
    assert [one.verdict for one in result.results] == [Verdict.ERROR, Verdict.PASSED]
    assert result.exit_status is ExitStatus.NOT_ALL_PASSED


def test_a_lab_that_cannot_prepare_says_so_and_closes_the_reports(
    tmp_path: Path, recorder: Recorder
) -> None:
    def prepare(_progress: object, _kernel: object, _memory: object) -> FakeTemplate:
        raise LabError("no image")

    with pytest.raises(LabError, match="no image"):
        run([parse_scenario(CYCLE, "g/a", "f")], RunSettings(tmp_path), [recorder], prepare)
    assert recorder.closed == 1


def second_kernel_fails(tmp_path: Path, *listeners: Listener) -> Path:
    """Run one scenario on two kernels, the second of which cannot be had; the run's folder."""

    def prepare(_progress: object, kernel: str, _memory: object) -> FakeTemplate:
        if kernel == "6.12":
            raise EnvironmentLack("no network for 6.12", "plug it in")
        return FakeTemplate()

    settings = RunSettings(tmp_path, kernels=("6.1", "6.12"))
    with pytest.raises(EnvironmentLack, match=r"no network for 6\.12"):
        run([parse_scenario(CYCLE, "g/a", "f")], settings, listeners, prepare)
    return tmp_path / folder.LATEST


def test_an_error_that_ends_the_run_leaves_a_result_that_can_go_on(
    tmp_path: Path, recorder: Recorder
) -> None:
    stored = json.loads((second_kernel_fails(tmp_path, recorder) / "run.json").read_text())
    assert [one["label"] for one in stored["results"]] == ["6.1/g/a"]
    assert (stored["not_run"], stored["interrupted"]) == (["6.12/g/a"], True)
    end = recorder.events[-1]
    assert isinstance(end, RunFinished)
    assert end.not_run == ("6.12/g/a",)
    assert not end.green


def test_an_error_that_ends_the_run_leaves_no_scenario_out_of_the_junit_file(
    tmp_path: Path,
) -> None:
    root = ET.parse(second_kernel_fails(tmp_path, JUnit()) / "junit.xml").getroot()
    cases = {case.get("classname"): case.find("error") for case in root.iter("testcase")}
    assert list(cases) == ["6.1.g", "6.12.g"]
    assert cases["6.1.g"] is None
    left = cases["6.12.g"]
    assert left is not None
    assert left.get("type") == "not run"


def test_a_full_disk_is_said_before_anything_begins(
    run_all: RunAll, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "free_bytes", lambda _path: 1024)
    with pytest.raises(HostDiskFull, match="is full"):
        run_all(CYCLE)


def test_a_disk_that_is_full_while_a_guest_runs_is_an_error_of_its_scenario(
    run_all: RunAll, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_self: folder.Folder, _name: str, _value: object) -> None:
        raise folder.full_disk(Path("/"))

    monkeypatch.setattr(folder.Folder, "append_json", full)
    result = run_all(CYCLE).results[0]
    assert result.verdict is Verdict.ERROR
    assert "is full" in result.reason
    assert "--results" in result.findings[0].detail[0]


def test_a_disk_that_stays_full_ends_the_run(
    run_all: RunAll, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_self: folder.Folder, _name: str, _value: object) -> None:
        raise folder.full_disk(Path("/"))

    monkeypatch.setattr(folder.Folder, "write_json", full)
    with pytest.raises(HostDiskFull):
        run_all(CYCLE, CYCLE)


def test_a_report_that_fails_changes_no_verdict_but_is_told(tmp_path: Path) -> None:
    class Bad(Recorder):
        def handle(self, event: object) -> None:
            raise OSError("no room")

    good = Recorder()
    scenarios = [parse_scenario(CYCLE, "g/a", "f")]
    with pytest.raises(LabError, match="Bad: no room"):
        run(scenarios, RunSettings(tmp_path), [Bad(), good], lambda _p, _k, _m: FakeTemplate())
    assert isinstance(good.events[-1], RunFinished)
    assert good.events[-1].green


def test_a_failed_guest_is_kept_once_as_it_was_at_the_first_finding(run_all: RunAll) -> None:
    good, bad = FakeTemplate(), FakeTemplate(frozenset({"image too short"}))
    run_all(CYCLE, template=good, keep_failed=True)
    assert good.keepable == [True]
    assert good.kept == []
    result = run_all(CYCLE, template=bad, keep_failed=True).results[0]
    assert result.verdict is Verdict.FAILED
    assert result.folder is not None
    assert bad.kept == [result.folder / "kept"]
    assert result.kept == f"ci/lab shell --kept {result.folder}"
    assert (result.folder / "kept" / "sections.txt").read_text() == SECTIONS


def test_nothing_is_kept_unless_asked_for(run_all: RunAll) -> None:
    bad = FakeTemplate(frozenset({"image too short"}))
    assert run_all(CYCLE, template=bad).results[0].verdict is Verdict.FAILED
    assert bad.kept == []
    assert bad.keepable == [False]


def test_a_guest_that_cannot_be_kept_is_told_of(
    run_all: RunAll, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise LabError("its disks are somewhere else")

    monkeypatch.setattr(FakeTemplate, "keep", refuse)
    bad = FakeTemplate(frozenset({"image too short"}))
    result = run_all(CYCLE, template=bad, keep_failed=True).results[0]
    assert result.kept == "not kept: its disks are somewhere else"


def test_guests_with_more_processors_crowd_each_other_more(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(engine, "processors", lambda: 4)
    found: list[float] = []

    def remember(_scenario: object, _template: object, place: Place, *_: object) -> ScenarioResult:
        found.append(place.patience)
        return ScenarioResult("g/a", Verdict.PASSED, label=place.label)

    monkeypatch.setattr("lab.runner.every_io.run_scenario", remember)
    for cpus in (1, 2, 4):
        settings = RunSettings(tmp_path, jobs=3, cpus=cpus)
        run([parse_scenario(CYCLE, "g/a", "f")], settings, [], lambda _p, _k, _m: FakeTemplate())
    assert [one / found[0] for one in found] == [1.0, 1.5, 3.0]


def test_a_guest_of_a_slow_kernel_gets_more_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patience: dict[str, float] = {}

    def remember(_scenario: object, _template: object, place: Place, *_: object) -> ScenarioResult:
        patience[place.kernel] = place.patience
        return ScenarioResult("g/a", Verdict.PASSED, kernel=place.kernel, label=place.label)

    monkeypatch.setattr("lab.runner.every_io.run_scenario", remember)
    settings = RunSettings(tmp_path, kernels=("6.1", "6.1-debug"))
    run([parse_scenario(CYCLE, "g/a", "f")], settings, [], lambda _p, _k, _m: FakeTemplate())
    assert patience["6.1-debug"] == patience["6.1"] * kernel_named("6.1-debug").slowness
    assert patience["6.1-debug"] > patience["6.1"]

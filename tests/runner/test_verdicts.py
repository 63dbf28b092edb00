"""Panic, hang, lost, error, skipped and failed are told apart and never folded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.flavour import Flavour
from lab.runner import checks, failures, folder
from lab.runner.events import CheckFinished
from lab.runner.failures import StepFailed
from lab.runner.start import debug_kernel
from lab.runner.verbs import power
from lab.runner.verdict import ScenarioResult, Verdict

from .conftest import CYCLE, Recorder
from .fake_guest import Misfortune

RunOne = Callable[..., ScenarioResult]


def test_a_panic_has_its_trace_from_the_console(run_one: RunOne) -> None:
    result = run_one(misfortunes=(Misfortune("snapshot_take", "panic"),))
    assert result.verdict is Verdict.PANIC
    assert "NULL pointer" in result.findings[0].what
    assert any("snapshot_take+0x5" in line for line in result.findings[0].detail)
    assert result.findings[0].where.startswith("steps[3]")
    assert len(result.findings) == 1
    assert result.folder is not None
    assert "Kernel panic" in (result.folder / "kernel.log").read_text()
    assert "snapshot_take+0x5" in (result.folder / "splats.txt").read_text()


def test_a_panic_while_the_module_is_loaded_is_a_panic(run_one: RunOne) -> None:
    result = run_one(misfortunes=(Misfortune("module_load", "panic", 2),))
    assert (result.verdict, result.findings[0].where) == (Verdict.PANIC, "start")


def test_a_guest_that_is_gone_without_a_word_is_lost(run_one: RunOne) -> None:
    result = run_one(misfortunes=(Misfortune("snapshot_take", "lost"),))
    assert result.verdict is Verdict.LOST
    assert "QEMU ended with status -9" in result.findings[0].what


def test_what_the_host_failed_is_an_error_of_the_lab(run_one: RunOne) -> None:
    result = run_one(misfortunes=(Misfortune("snapshot_take", "host"),))
    assert result.verdict is Verdict.ERROR
    assert "failed on the host: Input/output error" in result.findings[0].what


def test_a_guest_that_does_not_answer_hangs(run_one: RunOne) -> None:
    result = run_one(misfortunes=(Misfortune("snapshot_take", "hang"),))
    assert result.verdict is Verdict.HANG
    assert "does not answer any more" in result.findings[0].what


def test_a_request_that_is_stuck_is_a_hang_and_named(run_one: RunOne) -> None:
    result = run_one(misfortunes=(Misfortune("snapshot_take", "stuck"),))
    assert result.verdict is Verdict.HANG
    assert "snapshot_take" in result.findings[0].what
    assert "the agent answers" in result.findings[0].what
    assert result.folder is not None
    assert "state:D" in (result.folder / "blocked-tasks.txt").read_text()


def test_a_bug_of_the_agent_or_of_the_lab_is_an_error(run_one: RunOne) -> None:
    for kind in ("internal", "bug in the lab"):
        result = run_one(misfortunes=(Misfortune("snapshot_take", kind),))
        assert result.verdict is Verdict.ERROR


def test_after_a_failed_step_all_checks_are_made(run_one: RunOne, recorder: Recorder) -> None:
    result = run_one(misfortunes=(Misfortune("snapshot_take", "5"),))
    assert result.verdict is Verdict.FAILED
    assert "EIO" in result.reason
    checks = [event.check for event in recorder.events if isinstance(event, CheckFinished)]
    assert checks[0] == "loads stopped"
    assert checks[-1] == "kernel log"


def test_an_expected_error_passes_and_any_other_outcome_fails(run_one: RunOne) -> None:
    text = CYCLE + "  - expect_error: {errno: [EALREADY, EBUSY], step: {take: {}}}\n"
    assert run_one(text).verdict is Verdict.PASSED
    other = run_one(text, misfortunes=(Misfortune("snapshot_take", "22", 2),))
    assert "must fail with EALREADY or EBUSY, but: snapshot_take: EINVAL" in other.findings[0].what
    text = CYCLE + "  - expect_error: {errno: EIO, step: {write: {device: a, size: 4KiB}}}\n"
    assert "it must fail with EIO" in run_one(text).findings[0].what


@pytest.mark.parametrize(
    ("requires", "reason"),
    [
        ("{kernel: debug}", "debug kernel"),
        ("{kernel: debug}", "--kernel 6.1-debug, after `blksnap-lab kernel build 6.1-debug`"),
        ("{modules: [dm-missing]}", "no kernel module dm-missing: that of another kernel may"),
        ("{functions: [blk_there, blk_missing]}", "no kernel function blk_missing: that of"),
        ("{kernel_from: '6.2'}", "needs Linux 6.2; this is 6.1.0-fake"),
        ("{kernel_before: '6.1'}", "needs Linux before 6.1; this is 6.1.0-fake"),
    ],
)
def test_what_is_lacking_is_skipped_with_the_reason(
    run_one: RunOne, requires: str, reason: str
) -> None:
    result = run_one(f"requires: {requires}\n{CYCLE.strip()}\n")
    assert result.verdict is Verdict.SKIPPED
    assert reason in result.reason


def test_the_debug_kernel_that_is_named_is_likest_to_that_of_the_run() -> None:
    names = ("6.1", "6.12-small", "6.1-patched", "5.10", "7.x")
    named = [debug_kernel(name) for name in names]
    assert named == ["6.1-debug", "6.12-debug", "6.1-patched-debug", "6.1-debug", "6.1-debug"]


def test_a_release_is_compared_by_its_numbers(run_one: RunOne) -> None:
    for release in ("5.15", "6.1"):
        text = f"requires: {{kernel_from: '{release}'}}\n{CYCLE.strip()}\n"
        assert run_one(text).verdict is Verdict.PASSED


def test_a_step_that_is_faster_than_it_may_be_fails(run_one: RunOne) -> None:
    result = run_one(CYCLE + "  - at_least: 5\n    read: {device: a}\n")
    assert result.verdict is Verdict.FAILED
    assert "at least 5 s needed" in result.findings[0].what
    assert (
        run_one(CYCLE + "  - at_least: 0.000001\n    read: {device: a}\n").verdict is Verdict.PASSED
    )


def test_a_step_that_takes_too_long_fails(run_one: RunOne, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1_000_000, 7))
    monkeypatch.setattr("lab.runner.deadline.time.monotonic", lambda: float(next(clock)))
    result = run_one(CYCLE + "  - name: slow\n    timeout: 3\n    read: {device: a}\n")
    assert result.verdict is Verdict.FAILED
    assert "took longer than its limit" in result.findings[0].what


def test_silence_on_a_full_disk_is_an_error_that_says_so(
    run_one: RunOne, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "free_bytes", lambda _path: 0)
    monkeypatch.setattr(folder, "free_bytes", lambda _path: 1 << 30)
    result = run_one(misfortunes=(Misfortune("snapshot_take", "hang"),))
    assert result.verdict is Verdict.ERROR
    assert "is full" in result.findings[0].what


def test_a_scenario_folder_has_all_that_is_needed(run_one: RunOne, tmp_path: Path) -> None:
    result = run_one(command=("blksnap-lab", "run", "--module", "x y"))
    assert result.folder is not None
    names = {path.name for path in result.folder.iterdir()}
    assert names >= {
        "scenario.yaml",
        "verdict.json",
        "events.jsonl",
        "command.txt",
        "kernel.log",
        "qemu-command.txt",
        "builds.json",
    }
    command = (result.folder / "command.txt").read_text()
    assert command == "blksnap-lab run --module 'x y' group/s0\n"
    assert (tmp_path / "results" / "latest" / "group" / "s0").samefile(result.folder)


def test_a_request_that_got_only_the_rest_of_the_time_is_late_and_not_stuck(
    run_one: RunOne,
) -> None:
    text = CYCLE.replace("  - take:\n", "  - {take: {}, timeout: 5}\n")
    result = run_one(text, misfortunes=(Misfortune("snapshot_take", "stuck"),))
    assert result.verdict is Verdict.FAILED
    assert "no time was left for snapshot_take" in result.findings[0].what


def test_what_fails_while_the_power_is_off_is_the_finding_and_nobody_is_asked(
    run_one: RunOne, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_context: object) -> None:
        raise StepFailed("a promise is broken")

    monkeypatch.setattr(power, "_forget_loads", broken)
    result = run_one(CYCLE + "  - power_cut:\n  - boot:\n")
    assert [one.what for one in result.findings] == ["a promise is broken"]
    assert result.verdict is Verdict.FAILED


def test_a_wrong_byte_stays_the_finding_if_the_log_cannot_be_read_after_it(run_one: RunOne) -> None:
    wrong = CYCLE + "  - expect_error: {errno: EIO, step: {read: {device: a}}}\n"
    result = run_one(wrong, misfortunes=(Misfortune("kmsg", "lost", 3),))
    assert result.verdict is Verdict.FAILED
    assert [finding.verdict for finding in result.findings[:2]] == [Verdict.FAILED, Verdict.LOST]


def test_an_event_that_no_step_asked_for_is_found_in_the_end() -> None:
    context: Any = SimpleNamespace(
        log=SimpleNamespace(poll=lambda _guest: None, lines=[]),
        guest=None,
        unclaimed=[("s", "a", "corrupted: a, errno 28")],
        flavour=Flavour(),
        spoiled=[],
    )
    with pytest.raises(StepFailed, match="nobody expected: corrupted: a, errno 28"):
        checks.log_is_quiet(context)
    context.unclaimed.clear()
    assert checks.log_is_quiet(context) == {"lines": 0, "complaints": 0}

"""The kernel log is followed over a reboot, and nothing of its end is lost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lab.guest.lost import GuestLost
from lab.runner import klog
from lab.runner.failures import finding_of
from lab.runner.klog import (
    LogLine,
    SplatKind,
    classify,
    concerns,
    find_splats,
    parse_console,
)
from lab.runner.verdict import Verdict
from lab.runner.watch import KernelLog

from .fake_guest import PANIC, FakeGuest, FakeMachine
from .fake_kernel import FakeKernel

OLD = "[    1.000000] WARNING: CPU: 0 PID: 1 at before.c:1 before the mark\n"
MARK = "[    2.000000] the mark\n"


@pytest.fixture
def guest(tmp_path: Path) -> FakeGuest:
    machine = FakeMachine(tmp_path / "console.log")
    return FakeGuest(machine, {}, FakeKernel({}, frozenset()), [], lambda _op: None)


@pytest.fixture
def log(guest: FakeGuest) -> KernelLog:
    log = KernelLog()
    log.mark(guest, "the mark")
    return log


def test_what_a_kernel_said_before_the_mark_is_not_judged(guest: FakeGuest) -> None:
    guest.kernel.say("WARNING: CPU: 0 PID: 9 at x.c:1 f")
    log = KernelLog()
    log.mark(guest, "the mark")
    log.poll(guest)
    assert log.judge("here") == []


def test_a_report_is_told_once(guest: FakeGuest, log: KernelLog) -> None:
    guest.kernel.say("WARNING: CPU: 0 PID: 9 at x.c:1 f")
    log.poll(guest)
    (finding,) = log.judge("here")
    assert (finding.verdict, finding.where) == (Verdict.SPLAT, "here")
    log.poll(guest)
    assert log.judge("there") == []


@pytest.mark.parametrize(
    ("racers", "told"),
    [
        ("chunk_wait [blksnap] / chunk_done [blksnap]", True),
        ("bdev_set_nr_sectors / filter_walk [bdevfilter]", True),
        ("tick_sched_do_timer / tick_sched_do_timer", False),
        ("loop_queue_work [loop] / blksnap_alike", False),
    ],
)
def test_a_data_race_is_told_if_code_of_the_module_is_in_it(
    guest: FakeGuest, racers: str, told: bool
) -> None:
    log = KernelLog(modules=("blksnap", "bdevfilter"))
    log.mark(guest, "the mark")
    guest.kernel.say(f"BUG: KCSAN: data-race in {racers}")
    guest.kernel.say(" submit_bio_noacct+0x10/0x20 [blksnap]")
    guest.kernel.say("WARNING: CPU: 0 PID: 9 at x.c:1 f")
    log.poll(guest)
    kinds = [splat.kind for splat in log.splats]
    assert kinds == [SplatKind.KCSAN] * told + [SplatKind.WARNING]


@pytest.mark.parametrize("step", [1, 2, 3, 7])
def test_reports_are_the_same_however_the_lines_come(step: int) -> None:
    text = "".join(
        f"[    {n}.000000] {line}\n"
        for n, line in enumerate(
            (
                "WARNING: CPU: 0 PID: 9 at x.c:1 f",
                "RIP: 0010:f+0x1/0x2",
                "one",
                "two",
                "list_add corruption. prev->next should be next",
                "kernel BUG at lib/list_debug.c:26!",
                "UBSAN: shift-out-of-bounds in x.c:1",
                "INFO: task a:1 blocked for more than 30 seconds.",
                "one",
                "two",
                "BUG: KCSAN: data-race in x [loop] / y",
                "one",
                "two",
                "BUG: KCSAN: data-race in x [blksnap] / y",
                "Call Trace:",
                "one",
                "two",
                "Call Trace:",
            )
        )
    )
    lines = parse_console(text + PANIC)
    whole = [one for one in find_splats(lines) if concerns(one, ("blksnap",))]
    assert len(whole) == 4
    log, told = KernelLog(modules=("blksnap",)), 0
    for start in range(0, len(lines), step):
        log.lines += lines[start : start + step]
        told += len(log.judge("here"))
    assert log.splats == whole
    assert told == len(whole)


def test_each_line_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def noted(text: str) -> SplatKind | None:
        read.append(text)
        return classify(text)

    monkeypatch.setattr(klog, "classify", noted)
    log = KernelLog()
    for number in range(200):
        log.lines.append(LogLine(f"nothing much {number}"))
        log.judge("here")
    assert len(read) == 200


def test_what_is_forgotten_is_not_found(guest: FakeGuest, log: KernelLog) -> None:
    guest.kernel.say("WARNING: CPU: 0 PID: 9 at x.c:1 f")
    log.poll(guest)
    assert len(log.splats) == 1
    log.forget(SplatKind.WARNING)
    assert log.splats == []


@pytest.mark.parametrize(
    ("after", "kind"),
    [
        (["Call Trace:", " <TASK>", " chunk_x+0x1/0x2 [blksnap]"], SplatKind.TRACE),
        (["Kernel panic - not syncing: Fatal exception"], SplatKind.PANIC),
        (["Oops: 0000 [#1] SMP"], SplatKind.OOPS),
    ],
)
def test_a_data_race_of_others_takes_nothing_along_that_comes_after_it(
    guest: FakeGuest, after: list[str], kind: SplatKind
) -> None:
    rule = "=" * 66
    log = KernelLog(modules=("blksnap", "bdevfilter"))
    log.mark(guest, "the mark")
    race = [
        "BUG: KCSAN: data-race in tick / tock",
        "write to 0xffff of 8 bytes by task 1 on cpu 0:",
    ]
    guest.kernel.say(
        rule, *race, " tick+0x1/0x2", "", "value changed: 0x1 -> 0x2", "", rule, *after
    )
    log.poll(guest)
    assert [splat.kind for splat in log.splats] == [kind]


def test_what_was_overwritten_before_it_was_read_is_an_error_once(
    guest: FakeGuest, log: KernelLog
) -> None:
    guest.kernel.say("WARNING: CPU: 0 PID: 9 at x.c:1 f")
    guest.kernel.overwritten = 3
    log.poll(guest)
    report, lost = log.judge("here")
    assert (report.verdict, lost.verdict, lost.where) == (Verdict.SPLAT, Verdict.ERROR, "here")
    assert lost.what.startswith("3 records of the kernel log")
    log.poll(guest)
    assert log.judge("there") == []


def test_a_panic_while_shutting_down_is_found_on_the_console(
    guest: FakeGuest, log: KernelLog
) -> None:
    guest.machine.console_path.write_text(OLD + MARK + PANIC)
    log.restarted(guest.machine.console_path)
    (finding,) = log.judge("reboot")
    assert finding.verdict is Verdict.PANIC
    assert "NULL pointer" in finding.what


def test_a_panic_is_told_by_its_own_report_and_after_which_other_one(
    guest: FakeGuest, tmp_path: Path
) -> None:
    guest.machine.state = "exited"
    guest.machine.console_path.write_text(PANIC)
    alone = finding_of(GuestLost("gone"), "here", guest, tmp_path)
    assert "NULL pointer" in alone.what and "after" not in alone.what
    guest.machine.console_path.write_text(OLD + MARK + MARK + PANIC)
    finding = finding_of(GuestLost("gone"), "here", guest, tmp_path)
    assert finding.verdict is Verdict.PANIC
    assert finding.what == f"{alone.what}, after {OLD[15:-1]}"
    assert finding.detail[: len(alone.detail)] == alone.detail
    assert OLD.rstrip() in finding.detail


def test_evidence_is_shown_as_the_console_shows_it(guest: FakeGuest, log: KernelLog) -> None:
    log.lines.append(LogLine("WARNING: CPU: 0 PID: 9 at x.c:1 f", 4, 14_500_000))
    (finding,) = log.judge("here")
    assert finding.detail == ("[   14.500000] WARNING: CPU: 0 PID: 9 at x.c:1 f",)


def test_what_was_told_before_a_reboot_is_not_told_again(guest: FakeGuest, log: KernelLog) -> None:
    log.lines.append(LogLine("WARNING: CPU: 0 PID: 9 at x.c:1 f"))
    assert len(log.judge("here")) == 1
    text = OLD + MARK + "[    3.000000] WARNING: CPU: 0 PID: 9 at x.c:1 f\n"
    guest.machine.console_path.write_text(text)
    log.restarted(guest.machine.console_path)
    assert log.judge("reboot") == []


def test_a_slow_guest_has_longer_to_say_what_its_log_holds(guest: FakeGuest) -> None:
    limits: list[float] = []
    request = guest.channel.request

    def noted(op: str, args: Mapping[str, object], limit: float) -> Mapping[str, Any]:
        limits.append(limit)
        return request(op, args, limit)

    guest.channel.request = noted  # type: ignore[method-assign]
    log = KernelLog(3.0)
    log.mark(guest, "the mark")
    log.poll(guest)
    assert limits == [60.0, 60.0]

"""From an exception to a finding: what broke, the check, the kernel, the guest or the lab."""

from __future__ import annotations

import errno
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from lab.errors import LabError
from lab.guest.channel import AgentFailure, ChannelTimeout
from lab.guest.lost import GuestLost, HostFault
from lab.runner.folder import FULL_BELOW, free_bytes, full_disk
from lab.runner.klog import LogLine, concerns, find_splats, panicked
from lab.runner.ports import Guest
from lab.runner.verdict import Finding, Verdict
from lab.runner.watch import console_lines, last_lines

ALIVE_TIMEOUT = 15.0
"""Seconds in which a guest that is still alive answers a greeting, also a very busy one."""
DYING_TIMEOUT = 20.0
"""Seconds a kernel needs at most to write its last words, under emulation."""
AFTERMATH_TIMEOUT = 2.0
TASKS_TIMEOUT = 30.0
SYSRQ = "/proc/sysrq-trigger"
TASKS_PAUSE = 1.0
"""Seconds after which the kernel has written what SysRq asked it for."""


class StepFailed(LabError):  # noqa: N818
    """A check did not hold: `what`, and the evidence line by line."""

    def __init__(self, what: str, detail: Sequence[str] = ()) -> None:
        super().__init__(what)
        self.detail = tuple(detail)


class StepsEnded(LabError):  # noqa: N818
    """The kernel log ends the steps; the finding is recorded already."""


class TooLong(LabError):  # noqa: N818
    """A step or a scenario used up its time, though the guest answers."""


def describe(error: AgentFailure) -> str:
    """An error of the guest in one line, e.g. "snapshot_take: EALREADY: ..."."""
    name = errno.errorcode.get(error.errno, str(error.errno)) if error.errno else "error"
    return f"{error.operation}: {name}: {error.message}"


def finding_of(error: Exception, where: str, guest: Guest | None, folder: Path) -> Finding:
    """The finding for an exception that ended `where` (a step or a check).

    When the guest may be gone it is looked at: a panic, a hang and a lost guest are told apart.
    """
    if isinstance(error, StepFailed):
        return Finding(Verdict.FAILED, where, error.what, error.detail)
    if isinstance(error, TooLong):
        return Finding(Verdict.FAILED, where, error.what)
    if isinstance(error, AgentFailure):
        verdict = Verdict.ERROR if error.kind == "internal" else Verdict.FAILED
        return Finding(verdict, where, describe(error), tuple((error.traceback or "").split("\n")))
    if isinstance(error, ChannelTimeout | GuestLost) and guest is not None:
        return _silent_guest(error, where, guest, folder)
    if isinstance(error, LabError):
        remedy = (f"remedy: {error.remedy}",) if error.remedy else ()
        return Finding(Verdict.ERROR, where, error.what, remedy)
    lines = "".join(traceback.format_exception(error)).rstrip().split("\n")
    return Finding(Verdict.ERROR, where, f"{type(error).__name__}: {error}", tuple(lines))


def _silent_guest(
    error: ChannelTimeout | GuestLost, where: str, guest: Guest, folder: Path
) -> Finding:
    """Why there was no answer."""
    if isinstance(error, HostFault):
        return Finding(Verdict.ERROR, where, error.reason)
    alive = isinstance(error, ChannelTimeout) and answers(guest)
    if not alive:
        # A panicking kernel still writes its trace; then it ends the machine.
        guest.machine.wait_exit(DYING_TIMEOUT if not running(guest) else AFTERMATH_TIMEOUT)
    found = _panic(where, guest)
    if found is not None:
        return found
    if free_bytes(folder) < FULL_BELOW:
        full = full_disk(folder)
        return Finding(Verdict.ERROR, where, full.what, (f"remedy: {full.remedy}",))
    console = console_lines(guest.machine.console_path)
    if isinstance(error, GuestLost) or not running(guest):
        reason = error.reason if isinstance(error, GuestLost) else error.what
        what = f"the guest is lost: {reason} (machine: {guest.machine.describe()})"
        return Finding(Verdict.LOST, where, what, last_lines(console, 20))
    if alive:
        what = f"{error.what}; the agent answers, this request is stuck"
        return Finding(Verdict.HANG, where, what, blocked_tasks(guest))
    splats = find_splats(console)
    detail = splats[-1].trace if splats else last_lines(console, 20)
    return Finding(Verdict.HANG, where, f"the guest does not answer any more: {error.what}", detail)


def _panic(where: str, guest: Guest) -> Finding | None:
    console = console_lines(guest.machine.console_path)
    if not panicked(console) and str(guest.machine.state) != "panicked":
        return None
    modules = (guest.flavour.module, guest.flavour.filter)
    splats = [splat for splat in find_splats(console) if concerns(splat, modules)]
    if not splats:
        return Finding(Verdict.PANIC, where, "the kernel panicked", last_lines(console, 60))
    last = next((n for n, one in enumerate(splats) if panicked(map(LogLine, one.trace))), -1)
    fatal, earlier = splats[last], splats[:last]
    if not earlier:
        return Finding(Verdict.PANIC, where, fatal.headline, fatal.trace)
    # Which may well be why, such as KASAN's of memory that was free.
    first = earlier[0]
    detail = (*fatal.trace, "", "the first report before it:", *first.trace)
    return Finding(Verdict.PANIC, where, f"{fatal.headline}, after {first.headline}", detail)


def running(guest: Guest) -> bool:
    """True if the machine is there and runs."""
    return str(guest.machine.state) == "running"


def answers(guest: Guest) -> bool:
    """True if the agent answers a greeting within a short time."""
    try:
        guest.channel.request("hello", {"nonce": "alive?"}, ALIVE_TIMEOUT)
    except LabError:
        return False
    return True


def blocked_tasks(guest: Guest) -> tuple[str, ...]:
    """What the kernel says of tasks that wait uninterruptibly (SysRq w) and of what its processors
    do (SysRq l); empty if the guest cannot tell any more."""
    try:
        mark = guest.channel.request("klog_mark", {"text": "blksnap-lab: hang"}, TASKS_TIMEOUT)
        for key in "wl":
            guest.channel.request("write_file", {"path": SYSRQ, "text": key}, TASKS_TIMEOUT)
        time.sleep(TASKS_PAUSE)
        answer = guest.channel.request("kmsg", {"since_seq": mark["seq"]}, TASKS_TIMEOUT)
    except LabError:
        return ()
    return tuple(str(record["text"]) for record in answer["records"])

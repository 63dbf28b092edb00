"""Verbs for power cuts and for what reaches a disk."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from lab.crash import journal, promises
from lab.crash.log import WriteLog
from lab.crash.states import Cut, Rebuilder, choose
from lab.guest.lost import GuestLost, HostFault
from lab.model.seen import SeenKind
from lab.runner import coverage, hostscan
from lab.runner.context import Context, Executor
from lab.runner.failures import StepFailed
from lab.runner.hostfs import block_names, complaints, journal_of
from lab.runner.ports import Disk
from lab.runner.power import judge_journal, judge_log, lose
from lab.scenario import steps_load as loads
from lab.scenario import steps_power as verbs
from lab.scenario.step import PowerCut

Detail = Mapping[str, object]


def power_cut(context: Context, action: PowerCut, work: Callable[[], object] | None) -> Detail:
    """Cut, at once or while `work` is done; then disks with a log lose what was not safe."""
    dice = random.Random(f"{action.seed}/{context.turn}")
    detail: dict[str, object] = {}
    context.log.poll(context.guest)
    coverage.save(context)
    if work is None or action.during is None:
        context.guest.power_cut()
    else:
        low, high = context.cuts.window(action, action.during)
        took = _cut_during(context, work, dice.uniform(low, high))
        detail["during"] = took is None
        if took is not None:
            context.cuts.took(action.during, took)
        context.cuts.add(action, action.during, inside=took is None)
        context.reports.update(context.cuts.reports())
    context.powered = False
    _forget_loads(context)
    for name in context.power.ledgers:
        if name not in context.devices:
            continue
        disk = context.guest.disks[name]
        _judge(context, name)
        start = context.power.made.get(name)
        commits = None if start is None else judge_journal(disk, start)
        files = None if commits is None else context.power.files_of(name)
        left = lose(disk, dice, context.folder.path, files)
        context.power.at_stake.setdefault(name, []).append(left["unsafe"])
        detail[name] = left if commits is None else {**left, "commits": commits}
        context.model.power_failed(name)
    return detail


def _cut_during(context: Context, work: Callable[[], object], after: float) -> float | None:
    """Cut after so many seconds, or at the end of the work, which has then taken the seconds that
    are returned; None if it was under way. What else the work ends with passes, also a guest that
    was lost without a cut."""
    due = threading.Event()

    def cut() -> None:
        due.set()
        context.guest.power_cut()

    timer = threading.Timer(after, cut)
    began = time.monotonic()
    timer.start()
    took: float | None = None
    try:
        work()
        took = time.monotonic() - began
    except GuestLost as error:
        if isinstance(error, HostFault) or not due.is_set():
            raise
    finally:
        timer.cancel()
        timer.join()
    if not due.is_set():
        cut()
    return took


def _forget_loads(context: Context) -> None:
    """What loads had written by then nobody can tell."""
    for load in context.loads.values():
        what = load.action.load
        if isinstance(what, loads.Writers) and what.snapshot is None:
            context.model.forget(what.device)
        elif isinstance(what, loads.Ring):
            for name in what.devices:
                context.model.forget(name)


def _judge(context: Context, name: str) -> int:
    """Judge the log of a disk, if it is one of stamps; how many writes are in it."""
    log_file = context.guest.disks[name].log
    assert log_file is not None  # it has a ledger
    with WriteLog(log_file) as log:
        if not context.model.is_opaque(name):
            judge_log(log, context.model.tag(name), context.power.ledgers[name], name)
        return sum(entry.writes for entry in log.entries)


def fsync(context: Context, action: verbs.Fsync) -> Detail:
    """All is safe."""
    context.request("fsync", {"path": context.device(action.device).path})
    context.model.synced(action.device)
    context.power.synced(action.device)
    return {}


def check_log(context: Context, action: verbs.CheckLog) -> Detail:
    """Promises, and that the log tells all that there is on the disk."""
    context.device(action.device)
    if context.model.is_opaque(action.device):
        raise StepFailed(f"{action.device} holds more than stamps; use check_journal, crash_states")
    writes = _judge(context, action.device)
    if writes < action.writes:
        raise StepFailed(f"the log of {action.device} has {writes} writes; {action.writes} needed")
    _complete(context, action.device)
    return {"writes": writes}


def _complete(context: Context, name: str) -> None:
    """All of the log, one after the other, gives what the disk holds."""
    disk = context.guest.disks[name]
    assert disk.log is not None
    with (
        WriteLog(disk.log) as log,
        Rebuilder(log, disk.base, disk.size, context.folder.path) as states,
    ):
        number = len(log.entries)
        whole = Cut(number, tuple(range(number)))
        rebuilt = hostscan.scan_file(states.state(whole), disk.size)
    if rebuilt != hostscan.scan_file(disk.host_file, disk.size):
        raise StepFailed(f"the log of {name} is not all that was written to the disk")
    if any(run.kind is SeenKind.GARBAGE for run in rebuilt):
        raise StepFailed(f"the log of {name} has more than stamps")


def check_journal(context: Context, action: verbs.CheckJournal) -> Detail:
    """Commits of the journal, each flushed before."""
    disk, start = _made(context, action.device)
    commits = judge_journal(disk, start)
    if commits is None:
        raise StepFailed(f"{action.device} has no ext4 journal whose commits can be judged")
    if commits < action.commits:
        raise StepFailed(
            f"the journal of {action.device} has {commits} commits; {action.commits} needed"
        )
    context.reports[f"commits of {action.device}"] = commits
    return {"commits": commits}


def _made(context: Context, name: str) -> tuple[Disk, int]:
    """A disk with a file system, and the entry of its log from which on it is that one."""
    disk = context.guest.disks[context.device(name).name]
    start = context.power.made.get(name)
    if disk.log is None or start is None:
        raise StepFailed(f"{name} has no file system of which all is logged")
    return disk, start


def compare_logs(context: Context, action: verbs.CompareLogs) -> Detail:
    """The same is pending between the same flushes."""
    names = [context.device(name).name for name in (action.device, action.like)]
    opaque = [context.model.is_opaque(name) for name in names]
    if opaque[0] != opaque[1]:
        raise StepFailed("one of the two holds more than stamps, the other does not")
    compare = _compare_files if all(opaque) else _compare_stamps
    found, different = compare(context, names)
    if different is not None:
        raise StepFailed(f"{action.device}, compared with {action.like}: {different}")
    if not found:
        raise StepFailed(f"nothing was written to {action.device} that can be compared")
    return {"epochs": found}


def _compare_stamps(context: Context, names: Sequence[str]) -> tuple[int, str | None]:
    found = []
    for name in names:
        log_file = context.guest.disks[context.device(name).name].log
        assert log_file is not None  # it was checked
        with WriteLog(log_file) as log:
            found.append(promises.epochs(log))
    return len(found[0]), promises.first_difference(*found)


def _compare_files(context: Context, names: Sequence[str]) -> tuple[int, str | None]:
    found = []
    for name in names:
        disk, start = _made(context, name)
        where = journal_of(disk.host_file)
        if where is None:
            raise StepFailed(f"{name} has no ext4 journal whose commits can be judged")
        assert disk.log is not None
        known = block_names(one for one in context.power.files if one.device == name)
        with WriteLog(disk.log) as log:
            found.append(journal.together(log, where, known, start))
    return len(found[0]), journal.first_difference(*found)


def crash_states(context: Context, action: verbs.CrashStates) -> Detail:
    """Build states and check each on the host."""
    disk, start = _made(context, action.device)
    due = context.power.files_of(action.device)
    checked = 0
    assert disk.log is not None
    with (
        WriteLog(disk.log) as log,
        Rebuilder(log, disk.base, disk.size, context.folder.path) as states,
    ):
        whole, subsets = choose(log.entries, action.subsets, action.limit, action.seed, start)
        if len(subsets) < action.least:
            raise StepFailed(
                f"only {len(subsets)} states to check that lose a write; {action.least} needed"
            )
        for cut in sorted([*whole, *subsets]):
            context.deadline.left()
            there = [one for one in due if one.holds_after(cut.entries)]
            wrong = complaints(states.state(cut), there)
            if wrong:
                where = (
                    f"after entry {cut.entries} of {len(log.entries)}, with {len(cut.kept)} kept"
                )
                raise StepFailed(f"{action.device}, power cut {where}: {wrong[0]}", wrong)
            checked += len(there)
    detail = {"at flushes": len(whole), "subsets": len(subsets), "folders checked": checked}
    context.reports[f"crash states of {action.device}"] = detail
    return detail


EXECUTORS: dict[str, Executor] = {
    "fsync": fsync,
    "check_log": check_log,
    "check_journal": check_journal,
    "compare_logs": compare_logs,
    "crash_states": crash_states,
}

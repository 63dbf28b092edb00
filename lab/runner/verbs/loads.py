"""Verbs for background loads: started, followed, stopped, judged."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from lab.model.seen import load_writes_from_wire
from lab.runner.context import Context, Executor, Load
from lab.runner.failures import StepFailed
from lab.runner.verbs import events, storage
from lab.runner.verbs.load_reports import (
    LASTING,
    LONGEST,
    Report,
    compare_events,
    judge,
    why_failed,
)
from lab.scenario import steps_load as verbs
from lab.scenario.steps_io import NOWAITS
from lab.units import SECTOR

Detail = Mapping[str, object]
STOP_LIMIT = 45.0
"""Seconds in which the threads of a load end."""
POLL_PAUSE = 0.05
NONE = 2**62
"""The entry of a report that asks for none: only its figures are wanted."""
OPERATIONS = {
    "writers": "finished",
    "ring": "last_n",
    "file_ring": "last_n",
    "readers": "reads",
    "answer": "appended",
    "take_cycle": "cycles",
    "freeze": "cycles",
    "collect": "rounds",
    "memory": "samples",
}
"""Which figure of a report counts a load's operations."""


def start_load(context: Context, action: verbs.StartLoad) -> Detail:
    """Start a load."""
    load = Load(action.name, action.kind, action)
    what = action.load
    if isinstance(what, verbs.Writers):
        args = _writers(context, load, what)
    elif isinstance(what, verbs.Ring):
        args = _ring(context, load, what)
    elif isinstance(what, verbs.FileRing):
        args = {"files": list(what.files)}
    elif isinstance(what, verbs.Readers):
        args = _readers(context, what)
    elif isinstance(what, verbs.Answer):
        args = _answer(context, what)
    elif isinstance(what, verbs.TakeCycle):
        args = _take_cycle(context, load, what)
    elif isinstance(what, verbs.Freeze):
        args = {"path": what.at, "hold_ms": what.hold_ms, "pause_ms": what.pause_ms}
    else:
        args = what.model_dump(exclude={"growth"})
    context.request("load_start", {"name": action.name, "kind": action.kind, **args})
    context.loads[action.name] = load
    return {"kind": action.kind}


def _writers(context: Context, load: Load, what: verbs.Writers) -> dict[str, object]:
    device = context.device(what.device)
    within = what.within
    region = (0, device.sectors) if within is None else (within.sector, within.count)
    return {
        "path": context.path(what.device, what.snapshot),
        "tag": context.model.writers_started(load.name, what.device, what.snapshot),
        "workers": what.workers,
        "sizes": list(what.sizes),
        "region": list(region),
        "how": what.how.value,
        "seed": what.seed,
        "rate": what.rate,
        "boundary": what.boundary,
    }


def _take_cycle(context: Context, load: Load, what: verbs.TakeCycle) -> dict[str, object]:
    storage = context.device(what.storage).path
    place = [what.within.sector, what.within.count]
    context.model.cycle_started(load.name, what.devices)
    context.model.forget(what.storage, [(place[0], place[1])])
    return {
        "devices": [context.device(name).path for name in what.devices],
        "storage": storage,
        "ranges": [place],
        "hold_ms": what.hold_ms,
    }


def _ring(context: Context, load: Load, what: verbs.Ring) -> dict[str, object]:
    region = (what.within.sector, what.within.count)
    paths = [context.device(name).path for name in what.devices]
    load.tags = tuple(context.model.ring_started(load.name, what.devices, region))
    return {
        "devices": [{"path": path, "tag": tag} for path, tag in zip(paths, load.tags, strict=True)],
        "region": list(region),
        "how": what.how.value,
    }


def _readers(context: Context, what: verbs.Readers) -> dict[str, object]:
    old: dict[str, object] = {}
    if what.only_old:
        newest = context.model.newest_writes(what.device, what.snapshot)
        old = {"newest": [list(pair) for pair in newest.items()]}
    return old | {
        "path": context.path(what.device, what.snapshot),
        "workers": what.workers,
        "size": what.size,
        "direct": what.direct,
        "expect": "eio-after" if what.expect in LASTING else "any",
        "seed": what.seed,
    }


def _answer(context: Context, what: verbs.Answer) -> dict[str, object]:
    args: dict[str, object] = {
        "id": context.snapshot(what.snapshot).id,
        "delay_ms": what.delay_ms,
    }
    if what.device is None:
        return args | {"folder": what.folder}
    device = context.device(what.device)
    return args | {
        "device": device.path,
        "start_sector": what.start // SECTOR,
        "limit_sector": device.sectors,
    }


def wait_load(context: Context, action: verbs.WaitLoad) -> Detail:
    """Wait for so many operations. StepFailed if the load has ended by itself before."""
    load = _find(context, action.load)
    key = OPERATIONS[load.kind]
    first = int(_poll(context, load)[key]) if action.since == "now" else 0
    while True:
        report = _poll(context, load)
        done = int(report[key]) - first
        if done >= action.operations:
            return {"operations": done}
        if not report["running"]:
            raise StepFailed(
                f"load {load.name!r} has ended after {done} operations", why_failed(report)
            )
        context.deadline.left()
        time.sleep(POLL_PAUSE)


def stop_load(context: Context, action: verbs.StopLoad) -> Detail:
    """Stop and judge."""
    load = _find(context, action.load)
    detail = stop(context, action.load)
    if action.report is not None:
        context.reports[action.report] = detail[LONGEST]
    if action.events_as_model and isinstance(load.action.load, verbs.Answer):
        compare_events(context, load.action.load.snapshot, int(str(detail["low space events"])))
    return detail


def stop(context: Context, name: str) -> Detail:
    """Stop a load, tell the model the rest, and judge its report."""
    load = context.ended[name] = context.loads.pop(name)
    answer = context.request("load_stop", {"name": name, "timeout": STOP_LIMIT, "start": load.told})
    report = answer["report"]
    _tell(context, load, report)
    if load.kind == "writers":
        context.model.writers_stopped(name)
    elif load.kind == "ring":
        context.model.ring_stopped(name, int(report["started_n"]))
    if report["failed"]:
        raise StepFailed(
            f"load {name!r} failed: {report['failed'][0]['message']}", why_failed(report)
        )
    return judge(load, report, context.model.describe, context.deadline.patience)


def tell_all(context: Context) -> None:
    """Tell the model what all loads have done so far.

    But for writes to devices that a load takes snapshots of: on which side of its takes they are
    is known only when it has stopped.
    """
    taking = {
        name
        for load in context.loads.values()
        if isinstance(load.action.load, verbs.TakeCycle)
        for name in load.action.load.devices
    }
    for load in list(context.loads.values()):
        what = load.action.load
        if isinstance(what, verbs.Writers) and what.device in taking:
            continue
        if load.kind in ("writers", "answer"):
            _tell(context, load, _poll(context, load, load.told))


def _tell(context: Context, load: Load, report: Report) -> None:
    if load.kind == "writers":
        _tell_writes(context, load, report)
    elif load.kind == "answer" and isinstance(load.action.load, verbs.Answer):
        _tell_answers(context, load, load.action.load.snapshot, report)
    elif load.kind == "take_cycle":
        takes = [(int(begin), int(end)) for begin, end in report["takes"][load.told :]]
        context.model.cycle_progress(load.name, takes)
        load.told += len(takes)


def _tell_writes(context: Context, load: Load, report: Report) -> None:
    """Finished writes page by page, each once; then those in flight."""
    allowed = {0}
    what = load.action.load
    if isinstance(what, verbs.Writers) and what.how in NOWAITS:
        allowed.add(errno.EAGAIN)
    while True:
        writes = load_writes_from_wire(report["writes"])
        context.figures.load_wrote(context, load.name, writes)
        context.model.load_progress(load.name, writes)
        load.refused += [write for write in writes if write.errno not in allowed]
        load.told = int(report["next"])
        if not report["more"]:
            break
        report = _poll(context, load, load.told)
    context.model.load_progress(load.name, load_writes_from_wire(report["in_flight"]))


def _tell_answers(context: Context, load: Load, snapshot: str, report: Report) -> None:
    """Appends and events that were not told yet."""
    if snapshot not in context.snapshots:
        return
    for given in report["appends"][load.told :]:
        storage.note_given(context, snapshot, given)
    load.told = len(report["appends"])
    for wire in report["events"][load.events :]:
        events.note(context, snapshot, events.read_event(context, wire))
    load.events = len(report["events"])


@contextmanager
def ring_marks(context: Context, snapshot: str) -> Iterator[None]:
    """Around a take: what each ring had completed before it, and begun when it had returned."""
    rings = [load for load in context.loads.values() if load.kind in ("ring", "file_ring")]
    before = {load.name: int(_poll(context, load)["last_n"]) for load in rings}
    yield
    for load in rings:
        load.marks[snapshot] = (before[load.name], int(_poll(context, load)["started_n"]))


def _poll(context: Context, load: Load, start: int = NONE) -> Report:
    return context.request("load_poll", {"name": load.name, "start": start})


def _find(context: Context, name: str) -> Load:
    if name not in context.loads:
        raise StepFailed(f"no load {name!r} is running")
    return context.loads[name]


EXECUTORS: dict[str, Executor] = {
    "start_load": start_load,
    "wait_load": wait_load,
    "stop_load": stop_load,
}

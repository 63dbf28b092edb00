"""The verb that checks the ring rule: no device of a ring is ahead of the one before it (K16)."""

from __future__ import annotations

from collections.abc import Mapping

from lab.model.loads import check_ring, check_ring_slots
from lab.model.seen import SeenKind
from lab.runner.context import Context, Executor, Load, agree
from lab.runner.failures import StepFailed
from lab.runner.wire import scan
from lab.scenario import steps_fs as verbs
from lab.scenario import steps_load
from lab.scenario.values import Range

Detail = Mapping[str, object]
COUNTER_BYTES = 64
SLOT_SECTORS = 8
"""Sectors of one write of a ring load."""


def check_order(context: Context, action: verbs.CheckOrder) -> Detail:
    """Read the counters and apply the rule."""
    load = context.loads.get(action.load) or context.ended.get(action.load)
    if load is None:
        raise StepFailed(f"no load {action.load!r} has run")
    if action.files is not None:
        names, counters = action.files, _from_files(context, action.files)
        marks = list(load.marks.values())[-1:]
    else:
        snapshot = action.snapshot or ""
        names, counters = _from_images(context, load, snapshot)
        marks = [load.marks[snapshot]] if snapshot in load.marks else []
    at_least, at_most = marks[0] if marks else (0, None)
    agree("", check_ring(names, counters, at_least, at_most))
    return {"counters": dict(zip(names, counters, strict=True)), "at least": at_least}


def _from_files(context: Context, files: tuple[str, ...]) -> list[int]:
    counters = []
    for path in files:
        text = context.request("read_file", {"path": path, "limit": COUNTER_BYTES})["text"]
        if not text.strip().isdigit():
            raise StepFailed(f"{path} holds no counter: {text!r}")
        counters.append(int(text))
    return counters


def _from_images(context: Context, load: Load, snapshot: str) -> tuple[tuple[str, ...], list[int]]:
    """The highest counter in the region of each image."""
    ring = load.action.load
    if not isinstance(ring, steps_load.Ring):
        raise StepFailed(f"load {load.name!r} has its counters in files")
    counters = []
    for name, tag in zip(ring.devices, load.tags, strict=True):
        path = context.image(snapshot, name)
        seen = scan(context, path, ring.within.sector, ring.within.count)
        bad = [one for one in seen if one.kind in (SeenKind.GARBAGE, SeenKind.ERROR)]
        if bad:
            raise StepFailed(f"the counter of {name} cannot be read: {bad[0]}")
        mine = [one.seq for one in seen if one.kind is SeenKind.STAMP and one.tag == tag]
        agree("", check_ring_slots(name, _slots(ring.within, mine)))
        counters.append(max(mine, default=0))
    return ring.devices, counters


def _slots(within: Range, found: list[int]) -> list[int]:
    """The round found in each slot of the region; a slot is one write of the load."""
    slots = [0] * (within.count // SLOT_SECTORS)
    for number in found:
        place = (number - 1) % len(slots)
        slots[place] = max(slots[place], number)
    return slots


EXECUTORS: dict[str, Executor] = {"check_order": check_order}

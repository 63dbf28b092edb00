"""Verbs about the events of a snapshot."""

from __future__ import annotations

import errno
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab.runner.context import Context, Executor, Snapshot, agree
from lab.runner.failures import StepFailed
from lab.scenario import steps_snapshot as verbs
from lab.scenario.values import errno_numbers
from lab.units import SECTOR

Detail = Mapping[str, object]
SLACK = 10.0
"""Seconds the answer of a wait may take beyond the wait itself."""
TRIES = 5
"""Waits of which the shortest counts: others may have kept the guest's processors."""
LATE = 1.2
LATE_MS = 20.0
"""How long a wait may take, as a multiple of what it should, and milliseconds for waking up."""


@dataclass(frozen=True)
class SnapshotEvent:
    """An event of a snapshot: kind as in the language; time in guest nanoseconds.

    sectors: asked for by a low_space event. device (name of the original, or its path or number
    if the scenario has no name for it) and number (errno): of a corrupted event.
    """

    kind: str
    time_ns: int
    sectors: int = 0
    device: str = ""
    number: int = 0

    def __str__(self) -> str:
        if self.kind == verbs.EventKind.CORRUPTED:
            name = errno.errorcode.get(self.number, str(self.number))
            return f"event corrupted, device {self.device}, {name}"
        return f"event {self.kind}, {self.sectors} sectors asked for"


def read_event(context: Context, wire: Mapping[str, Any]) -> SnapshotEvent:
    """An event as the agent spells it."""
    number = wire.get("device")
    device = context.name_of((int(number[0]), int(number[1]))) if number is not None else ""
    return SnapshotEvent(
        kind=str(wire["kind"]),
        time_ns=int(wire["time_ns"]),
        sectors=int(wire.get("requested_sectors", 0)),
        device=device,
        number=int(wire.get("errno", 0)),
    )


def note(context: Context, snapshot: str, event: SnapshotEvent) -> None:
    """Tell the model what an event says. A corrupted one has to be claimed by a step."""
    context.figures.event(context.snapshot(snapshot).id, event.time_ns, str(event))
    if event.kind == verbs.EventKind.CORRUPTED:
        if event.device not in context.snapshot(snapshot).devices:
            raise StepFailed(f"{event}: no device of snapshot {snapshot!r}")
        if context.model.is_spoiled(snapshot, event.device):
            raise StepFailed(f"{event}: a second one for this device")
        context.model.corrupted(snapshot, event.device, event.number, event.time_ns)
        context.spoiled.append((*context.number_of(event.device), event.number))
        context.unclaimed.append((snapshot, event.device, str(event)))


def next_event(context: Context, snapshot: Snapshot, within_ms: int) -> SnapshotEvent | None:
    """Take one event off the queue, told to the model; None if none comes in time."""
    return _ask(context, snapshot, within_ms)[0]


def _ask(
    context: Context, snapshot: Snapshot, within_ms: int
) -> tuple[SnapshotEvent | None, float]:
    """The same, and how many milliseconds it took in the guest."""
    args = {"id": snapshot.id, "timeout_ms": within_ms}
    answer = context.request("wait_event", args, within_ms / 1000 + SLACK)
    took = (int(answer["end_ns"]) - int(answer["begin_ns"])) / 1e6
    if answer["event"] is None:
        return None, took
    event = read_event(context, answer["event"])
    note(context, snapshot.name, event)
    return event, took


def drain(context: Context, snapshot: Snapshot) -> list[SnapshotEvent]:
    """Take all events off the queue that are there."""
    found: list[SnapshotEvent] = []
    while (event := next_event(context, snapshot, 0)) is not None:
        found.append(event)
    return found


def claim(context: Context, snapshot: str, device: str | None = None) -> None:
    """A step says that it expects the corrupted events of a snapshot (and device)."""
    context.unclaimed = [
        one for one in context.unclaimed if one[0] != snapshot or device not in (None, one[1])
    ]


def forgive_memory(context: Context) -> None:
    """Images that were spoiled for want of memory are expected to be."""
    for snapshot in context.snapshots.values():
        if snapshot.taken:
            for event in drain(context, snapshot):
                if event.number == errno.ENOMEM:
                    claim(context, snapshot.name, event.device)


def wait_event(context: Context, action: verbs.WaitEvent) -> Detail:
    """The next event must be the expected one."""
    snapshot = context.snapshot(action.snapshot)
    if action.on_time:
        return _wait_in_vain(context, snapshot, action.within_ms)
    end = time.monotonic() + action.within_ms / 1000
    passed_over: list[str] = []
    while True:
        left = max(0, round((end - time.monotonic()) * 1000))
        event = next_event(context, snapshot, left)
        if event is None:
            if action.expect is verbs.EventKind.NONE:
                return {"event": None, "passed over": passed_over}
            raise StepFailed(f"no event within {action.within_ms} ms; must be {action.expect}")
        if event.kind != action.expect and event.kind in action.skip:
            passed_over.append(str(event))
            claim(context, action.snapshot, event.device)
            continue
        _compare(action, event)
        claim(context, action.snapshot, event.device)
        return {"event": str(event), "passed over": passed_over}


def _wait_in_vain(context: Context, snapshot: Snapshot, within_ms: int) -> Detail:
    """No event comes, and the wait takes as long as it was told to."""
    longest = within_ms * LATE + LATE_MS * context.deadline.patience
    least = float("inf")
    for _ in range(TRIES):
        event, took = _ask(context, snapshot, within_ms)
        if event is not None:
            raise StepFailed(f"{event}; must be {verbs.EventKind.NONE}")
        if took < within_ms:
            raise StepFailed(f"a wait of {within_ms} ms came back after {took:.1f} ms")
        least = min(least, took)
        if least <= longest:
            return {"event": None, "milliseconds": round(least, 1)}
    raise StepFailed(
        f"a wait of {within_ms} ms took {least:.1f} ms, the shortest of {TRIES}; "
        f"at most {longest:.0f} allowed"
    )


def _compare(action: verbs.WaitEvent, event: SnapshotEvent) -> None:
    if event.kind != action.expect:
        raise StepFailed(f"{event}; must be {action.expect}")
    if action.errno is not None and event.number not in errno_numbers((action.errno,)):
        raise StepFailed(f"{event}; must be {action.errno}")
    if action.device is not None and event.device != action.device:
        raise StepFailed(f"{event}; must be of {action.device}")
    if action.portion is not None and event.sectors * SECTOR != action.portion:
        raise StepFailed(f"{event}; must be {action.portion // SECTOR} sectors")


def check_overflow(context: Context, action: verbs.CheckOverflow) -> Detail:
    """Whether the snapshot may be spoiled."""
    snapshot = context.snapshot(action.snapshot)
    events = [str(event) for event in drain(context, snapshot)]
    claim(context, action.snapshot)
    justified = action.expect is verbs.OverflowExpect.JUSTIFIED
    agree("", context.model.check_overflow(action.snapshot, justified=justified))
    spoiled = [name for name in snapshot.images if context.model.is_spoiled(action.snapshot, name)]
    return {"spoiled": spoiled, "events": events}


EXECUTORS: dict[str, Executor] = {"wait_event": wait_event, "check_overflow": check_overflow}

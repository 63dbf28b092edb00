"""Verbs for snapshots: create, take, destroy, and what the module lists."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

from lab.guest.channel import AgentFailure
from lab.runner import compare
from lab.runner.context import Context, Executor, Snapshot
from lab.runner.failures import StepFailed, describe
from lab.runner.verbs import loads
from lab.runner.verbs.cbt import observe
from lab.runner.verbs.events import drain
from lab.runner.wire import images, tracker_of
from lab.scenario import steps_snapshot as verbs

Detail = Mapping[str, object]
IMAGE_NODE_LIMIT = 10.0
"""Seconds in which devtmpfs has made the node of an image."""
SETTLE = 0.5
"""Seconds after which who is to wait in the guest waits."""
WAITING_MS = 60_000
WAKE_LIMIT = 1.0
"""Seconds in which the host knows that a waiter was woken; agent and emulation take their part."""


def create(context: Context, action: verbs.Create) -> Detail:
    """Create a snapshot; tracking begins."""
    if action.snapshot in context.snapshots:
        raise StepFailed(f"there is a snapshot {action.snapshot!r} already")
    paths = [context.device(name).path for name in action.devices]
    answer = context.request("snapshot_create", {"devices": paths})
    times = int(answer["begin_ns"]), int(answer["end_ns"])
    context.model.created(action.snapshot, action.devices, *times)
    context.snapshots[action.snapshot] = Snapshot(
        action.snapshot, str(answer["id"]), action.devices
    )
    return {"id": answer["id"], "devices": list(action.devices)}


def take(context: Context, action: verbs.Take) -> Detail:
    """Take; the images appear, the trackers are compared."""
    snapshot = context.snapshot(action.snapshot)
    with loads.ring_marks(context, action.snapshot):
        answer, tries = _take_when_thawed(context, snapshot, action)
    context.model.taken(action.snapshot, int(answer["begin_ns"]), int(answer["end_ns"]))
    snapshot.sectors = {name: context.device(name).sectors for name in snapshot.devices}
    find_images(context, snapshot)
    loads.tell_all(context)
    for name in snapshot.devices:
        observe(context, name, tracker_of(context, name))
    took = (int(answer["end_ns"]) - int(answer["begin_ns"])) / 1e6
    return {"milliseconds": round(took, 3), "images": dict(snapshot.images), "tries": tries}


def _take_when_thawed(
    context: Context, snapshot: Snapshot, action: verbs.Take
) -> tuple[Mapping[str, Any], int]:
    """The take that succeeded, and how many it took: others fail while a file system is frozen by
    somebody else (K17), and leave everything as it was (K27)."""
    for number in range(1, action.tries):
        try:
            return _take_at_once(context, snapshot, action.callers), number
        except AgentFailure as error:
            if error.errno != errno.EBUSY:
                raise
    return _take_at_once(context, snapshot, action.callers), action.tries


def _take_at_once(context: Context, snapshot: Snapshot, callers: int) -> Mapping[str, Any]:
    """What the call that succeeded returned. StepFailed if more than one did, or none (K26)."""
    args = {"id": snapshot.id}
    if callers == 1:
        return context.request("snapshot_take", args)
    taken, refused = [], []
    with ThreadPoolExecutor(callers, thread_name_prefix="take") as pool:
        calls = [pool.submit(context.request, "snapshot_take", args) for _ in range(callers)]
        for call in calls:
            try:
                taken.append(call.result())
            except AgentFailure as error:
                refused.append(error)
    wrong = [describe(error) for error in refused if error.errno != errno.EALREADY]
    if len(taken) != 1 or wrong:
        raise StepFailed(
            f"{len(taken)} of {callers} takes at once succeeded; it must be one, "
            f"the others EALREADY: {wrong or 'they are'}"
        )
    return taken[0]


def find_images(context: Context, snapshot: Snapshot) -> None:
    """Ask for the images of a snapshot that was taken and wait for their nodes.

    StepFailed unless there is one for each device, in the order given to create.
    """
    records = images(context, snapshot.id)
    numbers = [context.number_of(name) for name in snapshot.devices]
    if [record.original for record in records] != numbers:
        found = [record.original_path or str(record.original) for record in records]
        raise StepFailed(
            f"the images of snapshot {snapshot.name!r} are of {found}; "
            f"they must be of {list(snapshot.devices)}, in this order"
        )
    for name, record in zip(snapshot.devices, records, strict=True):
        context.request(
            "wait_path", {"path": record.path, "timeout": IMAGE_NODE_LIMIT, "gone": False}
        )
        snapshot.images[name] = record.path


def destroy(context: Context, action: verbs.Destroy) -> Detail:
    """Compare what is about to vanish, then destroy."""
    snapshot = context.snapshot(action.snapshot)
    looks = action.compare and snapshot.taken and not context.expecting
    compared = compare.snapshot(context, snapshot) if looks else 0
    with _waiting(context, snapshot, action.waiters):
        began = time.monotonic()
        context.request("snapshot_destroy", {"id": snapshot.id}, action.within)
        took = time.monotonic() - began
    forget(context, action.snapshot)
    return {"sectors compared": compared, "seconds": round(took, 3)}


@contextmanager
def _waiting(context: Context, snapshot: Snapshot, waiters: int) -> Iterator[None]:
    """While this lasts, somebody waits for events; its end must be the snapshot's (K24).

    StepFailed unless each waiter gets ESRCH, soon.
    """
    if not waiters:
        yield
        return
    drain(context, snapshot)
    args = {"id": snapshot.id, "timeout_ms": WAITING_MS}
    limit = WAKE_LIMIT * context.deadline.patience
    with ThreadPoolExecutor(waiters, thread_name_prefix="waiter") as pool:
        calls = [pool.submit(context.request, "wait_event", args) for _ in range(waiters)]
        early, _ = wait(calls, SETTLE, FIRST_COMPLETED)
        yield
        late = wait(calls, limit).not_done
        wrong = [_unlike_esrch(call) for call in calls if call not in late]
    wrong = ["woken before the destroy" for _ in early] + [why for why in wrong if why]
    wrong += [f"not woken within {limit:g} s" for _ in late]
    if wrong:
        raise StepFailed(f"{len(wrong)} of {waiters} waiters: {wrong[0]}; must be ESRCH", wrong)


def _unlike_esrch(call: Future[dict[str, Any]]) -> str:
    """How a wait ended, if not with ESRCH."""
    error = call.exception()
    if not isinstance(error, AgentFailure):
        return f"ended with {error or call.result()}"
    return "" if error.errno == errno.ESRCH else describe(error)


def forget(context: Context, name: str) -> None:
    """A snapshot is gone."""
    context.destroyed[name] = context.snapshots.pop(name)
    context.model.destroyed(name)


def check_snapshots(context: Context, action: verbs.CheckSnapshots) -> Detail:
    """The module lists exactly these."""
    ids = {str(one) for one in context.request("snapshot_collect")["ids"]}
    wanted = {context.snapshot(name).id: name for name in action.snapshots}
    missing = [name for identity, name in wanted.items() if identity not in ids]
    strange = [identity for identity in ids if identity not in wanted]
    if missing or strange:
        raise StepFailed(
            f"the module lists {len(ids)} snapshots: missing {missing or 'none'}, "
            f"not expected {strange or 'none'}"
        )
    return {"snapshots": len(ids)}


def check_images(context: Context, action: verbs.CheckImages) -> Detail:
    """The module lists one image for each device, in order."""
    snapshot = context.snapshot(action.snapshot)
    before = dict(snapshot.images)
    find_images(context, snapshot)
    if before and before != snapshot.images:
        raise StepFailed(f"the images are {snapshot.images} now; they were {before}")
    return {"images": dict(snapshot.images)}


EXECUTORS: dict[str, Executor] = {
    "create": create,
    "take": take,
    "destroy": destroy,
    "check_snapshots": check_snapshots,
    "check_images": check_images,
}

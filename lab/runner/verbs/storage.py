"""The verb that gives difference storage to a snapshot, in one of four ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.runner.context import Context, Executor, Snapshot
from lab.runner.wire import as_lists, device_number
from lab.scenario import steps_snapshot as verbs
from lab.scenario.expand import Ranges, pieces_of
from lab.units import SECTOR, STORAGE_UNIT

Detail = Mapping[str, object]


def append_storage(context: Context, action: verbs.AppendStorage) -> Detail:
    """Give storage in one of four ways."""
    snapshot = context.snapshot(action.snapshot)
    if action.file is not None:
        return _append_file(context, snapshot, action.file)
    if action.pieces is not None:
        return _append_pieces(context, snapshot, action.pieces)
    assert action.device is not None
    device = context.device(action.device)
    if action.ranges is None:
        ranges = [(0, device.sectors // STORAGE_UNIT * STORAGE_UNIT)]
    else:
        ranges = [(one.sector, one.count) for one in action.ranges]
    append_ranges(context, snapshot, action.device, ranges)
    return {"ranges": len(ranges), "sectors": sum(count for _, count in ranges)}


def append_ranges(context: Context, snapshot: Snapshot, device: str, ranges: Ranges) -> None:
    """One call for some ranges of one device."""
    path = context.device(device).path
    answer = context.request(
        "append_storage", {"id": snapshot.id, "device": path, "ranges": as_lists(ranges)}
    )
    context.model.appended(snapshot.name, device, ranges, int(answer["done_ns"]))


def _append_pieces(context: Context, snapshot: Snapshot, pieces: verbs.Pieces) -> Detail:
    sectors = {name: context.device(name).sectors for name in pieces.devices}
    given = 0
    calls = pieces_of(pieces, sectors)
    for device, ranges in calls:
        append_ranges(context, snapshot, device, ranges)
        given += len(ranges)
    return {"calls": len(calls), "ranges": given, "sectors": pieces.total // SECTOR}


def _append_file(context: Context, snapshot: Snapshot, file: verbs.StorageFile) -> Detail:
    args: dict[str, object] = {"id": snapshot.id, "path": file.path}
    if file.size is not None:
        args["size"] = file.size
    answer = context.request("append_file", args)
    ranges = note_given(context, snapshot.name, answer)
    return {"ranges": len(ranges), "sectors": sum(count for _, count in ranges)}


def note_given(context: Context, snapshot: str, given: Mapping[str, Any]) -> Ranges:
    """Tell the model of storage that the agent has given; where it lies."""
    ranges = [(int(sector), int(count)) for sector, count in given["ranges"]]
    name = context.name_of(device_number(context, str(given["device"])))
    context.model.appended(snapshot, name, ranges, int(given["done_ns"]))
    return ranges


EXECUTORS: dict[str, Executor] = {"append_storage": append_storage}

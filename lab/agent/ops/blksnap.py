"""The commands of the module, thin over lab.blksnap. Each opens the control node for itself."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable
from typing import Any, Optional

from lab import blksnap
from lab.agent.events import described
from lab.agent.registry import Result, operation
from lab.errors import UsageError

_MAX_MAP_RUNS = 10_000


@operation
def tracker_remove(device: str) -> Result:
    """Stop tracking a device."""
    with blksnap.Control() as control:
        control.tracker(_device(device)).remove()
    return {}


@operation
def tracker_collect() -> Result:
    """All tracked devices, in the order tracking began."""
    with blksnap.Control() as control:
        return {"trackers": [_tracker(info) for info in control.trackers()]}


@operation
def read_cbt(device: str, offset: int = 0, length: Optional[int] = None) -> Result:
    """The map run-length coded; offset and length in blocks. `next`: go on there, or null."""
    with blksnap.Control() as control:
        runs = control.tracker(_device(device)).cbt_map().runs(offset, length)
    blocks = sum(run.count for run in runs)
    after = runs[_MAX_MAP_RUNS].block if len(runs) > _MAX_MAP_RUNS else None
    listed = [[run.block, run.count, run.number] for run in runs[:_MAX_MAP_RUNS]]
    return {"runs": listed, "blocks": blocks, "next": after}


@operation
def mark_dirty(device: str, ranges: list[tuple[int, int]]) -> Result:
    """Mark sector ranges of an original or an image as changed."""
    with blksnap.Control() as control:
        control.tracker(_device(device)).mark_dirty(_ranges(ranges))
    return {}


@operation
def snapshot_create(devices: list[str]) -> Result:
    """A new snapshot of the devices, in that order; the clock before and after, as for take."""
    with blksnap.Control() as control:
        found = [_device(one) for one in devices]
        begin = time.monotonic_ns()
        snapshot = control.create_snapshot(found)
        return {"id": str(snapshot.id), "begin_ns": begin, "end_ns": time.monotonic_ns()}


@operation
def snapshot_destroy(id: str) -> Result:
    """Destroy a snapshot."""
    with blksnap.Control() as control:
        _snapshot(control, id).destroy()
    return {"done_ns": time.monotonic_ns()}


@operation
def append_storage(id: str, device: str, ranges: list[tuple[int, int]]) -> Result:
    """Give sector ranges of a device as difference storage."""
    with blksnap.Control() as control:
        _snapshot(control, id).append_storage(_device(device), _ranges(ranges))
    return {"done_ns": time.monotonic_ns()}


@operation
def append_file(id: str, path: str, size: Optional[int] = None) -> Result:
    """Give a file's blocks as difference storage, made with `size` bytes first; where it lies."""
    with blksnap.Control() as control:
        try:
            found = _snapshot(control, id).append_file(path, size)
        except (blksnap.UnfitFileError, ValueError) as error:
            raise UsageError(str(error)) from None
    return {
        "device": found.device.path or str(found.device),
        "ranges": [[one.sector, one.count] for one in found.ranges],
        "lost": found.lost,
        "done_ns": time.monotonic_ns(),
    }


@operation
def snapshot_take(id: str) -> Result:
    """Take; the monotonic clock just before and just after the call."""
    with blksnap.Control() as control:
        snapshot = _snapshot(control, id)
        begin = time.monotonic_ns()
        snapshot.take()
        return {"begin_ns": begin, "end_ns": time.monotonic_ns()}


@operation
def snapshot_collect() -> Result:
    """The ids of all snapshots."""
    with blksnap.Control() as control:
        return {"ids": [str(one) for one in control.snapshots()]}


@operation
def collect_images(id: str) -> Result:
    """Originals and images of a taken snapshot, in the order of create."""
    with blksnap.Control() as control:
        images = _snapshot(control, id).images()
    return {
        "images": [
            {
                "original": _pair(info.original),
                "image": _pair(info.image),
                "original_path": info.original.path,
                "path": info.path,
            }
            for info in images
        ]
    }


@operation
def wait_event(id: str, timeout_ms: int) -> Result:
    """The oldest event, or null when none came in time; the clock before and after, as for take."""
    with blksnap.Control() as control:
        snapshot = _snapshot(control, id)
        begin = time.monotonic_ns()
        event = snapshot.wait_event(timeout_ms)
        end = time.monotonic_ns()
    found = None if event is None else described(event)
    return {"event": found, "begin_ns": begin, "end_ns": end}


def _tracker(info: blksnap.TrackerInfo) -> dict[str, Any]:
    return {
        "device_id": _pair(info.device),
        "path": info.device.path,
        "block_size": info.block_size,
        "capacity": info.capacity,
        "block_count": info.block_count,
        "generation": str(info.generation),
        "number": info.number,
        "gone": info.is_gone,
    }


def _pair(device: blksnap.Device) -> list[int]:
    return [device.major, device.minor]


def _ranges(ranges: Iterable[tuple[int, int]]) -> list[blksnap.SectorRange]:
    return [blksnap.SectorRange(sector, count) for sector, count in ranges]


def _device(device: str) -> blksnap.Device:
    try:
        return blksnap.Device.of(device)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _snapshot(control: blksnap.Control, snapshot_id: str) -> blksnap.Snapshot:
    try:
        return control.snapshot(uuid.UUID(snapshot_id))
    except ValueError:
        raise UsageError(f"{snapshot_id!r} is no snapshot id (a UUID)") from None

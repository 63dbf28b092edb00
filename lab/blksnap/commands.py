# SPDX-License-Identifier: MIT
"""The commands of the command line: each makes its calls and says what came of them.

A command gets the open module and its arguments and returns an Answer: a JSON-able value and the
same as lines of text. Nothing here prints.
"""

from __future__ import annotations

import argparse
import base64
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .control import Control, as_uuid
from .device import Device
from .fiemap import ALIGNMENT
from .results import (
    CorruptedEvent,
    Event,
    ImageInfo,
    LowFreeSpaceEvent,
    SectorRange,
    TrackerInfo,
)


@dataclass(frozen=True)
class Answer:
    """What to show: `value` with --json, `lines` without; `status` is the exit status."""

    value: Any
    lines: list[str] = field(default_factory=list)
    status: int = 0


NO_EVENT = 3


def version(control: Control, _: argparse.Namespace) -> Answer:
    """IOCTL_BLK_SNAP_VERSION."""
    text = str(control.version())
    return Answer({"version": text}, [text])


def tracker_remove(control: Control, args: argparse.Namespace) -> Answer:
    """IOCTL_BLK_SNAP_TRACKER_REMOVE."""
    control.tracker(args.device).remove()
    return Answer({})


def tracker_collect(control: Control, _: argparse.Namespace) -> Answer:
    """IOCTL_BLK_SNAP_TRACKER_COLLECT."""
    found = control.trackers()
    lines = [_tracker_line(info) for info in found]
    return Answer({"trackers": [_tracker(info) for info in found]}, lines)


def read_cbt(control: Control, args: argparse.Namespace) -> Answer:
    """IOCTL_BLK_SNAP_TRACKER_READ_CBT_MAP."""
    cbt = control.tracker(args.device).cbt_map()
    if args.changed_since is not None:
        with cbt:
            ranges = cbt.changed_since(args.changed_since)
        listed = [[one.sector, one.count] for one in ranges]
        return Answer({"ranges": listed}, [f"{one.sector}:{one.count}" for one in ranges])
    if args.output is not None:
        with cbt:
            data = cbt.read(args.offset, args.length)
        args.output.write_bytes(data)
        return Answer({"bytes": len(data)}, [f"{len(data)} bytes"])
    with cbt:
        runs = cbt.runs(args.offset, args.length)
    lines = [f"blocks {run.block}..{run.block + run.count - 1}  {run.number}" for run in runs]
    return Answer({"runs": [[run.block, run.count, run.number] for run in runs]}, lines)


def mark_dirty(control: Control, args: argparse.Namespace) -> Answer:
    """IOCTL_BLK_SNAP_TRACKER_MARK_DIRTY_BLOCKS."""
    control.tracker(args.device).mark_dirty(args.range)
    return Answer({})


def snapshot_create(control: Control, args: argparse.Namespace) -> Answer:
    """IOCTL_BLK_SNAP_SNAPSHOT_CREATE."""
    snapshot = control.create_snapshot(args.device)
    return Answer({"id": str(snapshot.id)}, [str(snapshot.id)])


def snapshot_destroy(control: Control, args: argparse.Namespace) -> Answer:
    """IOCTL_BLK_SNAP_SNAPSHOT_DESTROY."""
    control.snapshot(args.id).destroy()
    return Answer({})


def append_storage(control: Control, args: argparse.Namespace) -> Answer:
    """IOCTL_BLK_SNAP_SNAPSHOT_APPEND_STORAGE."""
    snapshot = control.snapshot(args.id)
    if args.file is not None:
        found = snapshot.append_file(args.file, args.size)
        return _appended(found.device, found.ranges)
    snapshot.append_storage(args.device, args.range)
    return _appended(Device.of(args.device), args.range)


def take(control: Control, args: argparse.Namespace) -> Answer:
    """IOCTL_BLK_SNAP_SNAPSHOT_TAKE."""
    snapshot = control.snapshot(args.id)
    snapshot.take()
    return _images(snapshot.images())


def collect(control: Control, _: argparse.Namespace) -> Answer:
    """IOCTL_BLK_SNAP_SNAPSHOT_COLLECT."""
    ids = [str(one) for one in control.snapshots()]
    return Answer({"ids": ids}, ids)


def collect_images(control: Control, args: argparse.Namespace) -> Answer:
    """IOCTL_BLK_SNAP_SNAPSHOT_COLLECT_IMAGES."""
    return _images(control.snapshot(args.id).images())


def wait_event(control: Control, args: argparse.Namespace) -> Answer:
    """IOCTL_BLK_SNAP_SNAPSHOT_WAIT_EVENT."""
    event = control.snapshot(args.id).wait_event(args.timeout)
    if event is None:
        return Answer({"event": None}, ["no event"], NO_EVENT)
    return Answer({"event": event_value(event)}, [event_line(event)])


def event_value(event: Event) -> dict[str, Any]:
    """An event as a JSON object."""
    if isinstance(event, LowFreeSpaceEvent):
        return {
            "event": "low_free_space",
            "time_ns": event.time_ns,
            "requested_sectors": event.requested_sectors,
        }
    if isinstance(event, CorruptedEvent):
        return {
            "event": "corrupted",
            "time_ns": event.time_ns,
            "device": str(event.device),
            "errno": event.errno,
        }
    data = base64.b64encode(event.data).decode()
    return {"event": event.code, "time_ns": event.time_ns, "data": data}


def event_line(event: Event) -> str:
    """An event as a line of text."""
    return "  ".join(f"{key}={value}" for key, value in event_value(event).items())


def image_line(info: ImageInfo) -> str:
    """An original and its image as a line of text."""
    return f"{info.path}  {info.image}  of {info.original.path or '?'}  {info.original}"


def _images(images: Iterable[ImageInfo]) -> Answer:
    found = list(images)
    value = [
        {
            "original": str(info.original),
            "original_path": info.original.path,
            "image": str(info.image),
            "path": info.path,
        }
        for info in found
    ]
    return Answer({"images": value}, [image_line(info) for info in found])


def _appended(device: Device, ranges: Iterable[SectorRange]) -> Answer:
    listed = [[one.sector, one.count] for one in ranges]
    total = sum(count for _, count in listed)
    return Answer(
        {"device": str(device), "ranges": listed},
        [f"{total} sectors in {len(listed)} ranges of {device.path or device}"],
    )


def _tracker(info: TrackerInfo) -> dict[str, Any]:
    return {
        "device": str(info.device),
        "path": info.device.path,
        "block_size": info.block_size,
        "capacity": info.capacity,
        "block_count": info.block_count,
        "generation": str(info.generation),
        "number": info.number,
        "gone": info.is_gone,
    }


def _tracker_line(info: TrackerInfo) -> str:
    if info.is_gone:
        return f"{info.device}  gone"
    return (
        f"{info.device.path or '?'}  {info.device}  {info.capacity} bytes  "
        f"{info.block_count} blocks of {info.block_size}  "
        f"generation {info.generation}  number {info.number}"
    )


def snapshot_id(text: str) -> uuid.UUID:
    """A snapshot id from the command line. argparse.ArgumentTypeError if it is none."""
    try:
        return as_uuid(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def sector_range(text: str) -> SectorRange:
    """A range SECTOR:COUNT from the command line, in 512-byte sectors."""
    first, _, count = text.partition(":")
    if not (first.isdecimal() and count.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is no SECTOR:COUNT")
    return SectorRange(_number(first, 64), _number(count, 64))


def u32(text: str) -> int:
    """A number of 32 bits from the command line."""
    return _number(text, 32)


def take_number(text: str) -> int:
    """The number of a take from the command line: of 8 bits, as the bytes of a map."""
    return _number(text, 8)


def file_size(text: str) -> int:
    """The size of a storage file from the command line, in bytes: whole units of 4 KiB."""
    size = _number(text, 63)
    if not size or size % ALIGNMENT:
        raise argparse.ArgumentTypeError(f"{size} is no multiple of {ALIGNMENT}")
    return size


def _number(text: str, bits: int) -> int:
    if not text.isdecimal() or int(text) >= 1 << bits:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number below 2**{bits}")
    return int(text)

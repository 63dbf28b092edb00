"""Longer talks with the agent: scans, maps, trackers, images; answers as values of the model."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from lab.guest.channel import AgentFailure
from lab.model.seen import MapRun, Seen, TrackerSeen, map_runs_from_wire, seen_from_wire
from lab.runner.context import Context
from lab.runner.explained import note_passing
from lab.runner.failures import StepFailed

MAX_RUNS = 2000
"""Runs of one answer; keeps it small."""
GRAIN = 4096
"""Bytes to which read errors are narrowed down."""
CBT_PIECE = 1 << 20
"""Bytes of the map asked for at a time, as v0's own tool does; the answer is run-length coded."""
BATCH = 4000
"""Writes or ranges of one request; keeps its line below the limit of 1 MiB."""

NOTHING_LEFT = TrackerSeen(0, 0, 0, str(UUID(int=0)), 0)
"""What a record says of a device that is gone."""

Ranges = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class TrackerRecord:
    """What TRACKER_COLLECT says of one device; gone: only its number is left of it (K37)."""

    device_id: tuple[int, int]
    path: str | None
    seen: TrackerSeen
    gone: bool = False


@dataclass(frozen=True)
class ImageRecord:
    """An original and its image as COLLECT_IMAGES pairs them."""

    original: tuple[int, int]
    image: tuple[int, int]
    original_path: str | None
    path: str


def scan(
    context: Context,
    path: str,
    sector: int,
    count: int,
    *,
    direct: bool = True,
    grain: int = GRAIN,
) -> tuple[Seen, ...]:
    """What sectors hold, read in the guest; errors are narrowed down to `grain` bytes."""
    found: list[Seen] = []
    position, end = sector, sector + count
    while position < end:
        answer = context.request(
            "scan",
            {
                "path": path,
                "sector": position,
                "count": end - position,
                "direct": direct,
                "max_runs": MAX_RUNS,
                "grain": grain,
                # The one I/O that was made to fail may have been one of these reads.
                "once": context.tap is not None,
            },
        )
        _refuse_starved(context, path, answer["errors"])
        note_passing(context, path, answer["passing"])
        found += seen_from_wire(answer["runs"], answer["errors"])
        following = answer["next"]
        if following is None:
            break
        if following <= position:
            raise ValueError(f"a scan of {path} does not get beyond sector {position}")
        position = following
    return tuple(found)


def scan_ranges(
    context: Context, path: str, ranges: Ranges, *, direct: bool = True, grain: int = GRAIN
) -> Iterator[tuple[int, int, tuple[Seen, ...]]]:
    """(sector, count, what was seen) for each range."""
    for sector, count in ranges:
        yield sector, count, scan(context, path, sector, count, direct=direct, grain=grain)


def _refuse_starved(context: Context, path: str, errors: Sequence[Sequence[int]]) -> None:
    """Errors of a read that is starved are those of the step, not a content of the image."""
    if errors and context.starved is not None and context.starved.op == "scan":
        what = f"{len(errors)} reads of {path} failed"
        numbers = [error[2] for error in errors]
        number = next((one for one in numbers if one != errno.ENOMEM), errno.ENOMEM)
        raise AgentFailure({"kind": "os", "errno": number, "operation": "scan", "message": what})


def read_map(context: Context, path: str) -> tuple[MapRun, ...]:
    """The whole CBT map of a device, read in pieces until its end."""
    runs: list[MapRun] = []
    offset = 0
    while True:
        answer = context.request(
            "read_cbt", {"device": path, "offset": offset, "length": CBT_PIECE}
        )
        runs += map_runs_from_wire(answer["runs"])
        if answer["next"] is not None:
            offset = int(answer["next"])
        elif answer["blocks"] == CBT_PIECE:
            offset += CBT_PIECE
        else:
            context.figures.map_read(context, path, runs)
            return tuple(runs)


def read_map_part(context: Context, path: str, offset: int, length: int) -> tuple[MapRun, ...]:
    """A part of a CBT map, in one answer; length in blocks."""
    args = {"device": path, "offset": offset, "length": length}
    answer = context.request("read_cbt", args)
    if answer["next"] is not None:
        raise ValueError(f"{length} blocks of a map are too many for one answer")
    return map_runs_from_wire(answer["runs"])


def trackers(context: Context) -> tuple[TrackerRecord, ...]:
    """All trackers that the module knows. StepFailed for one whose device is gone and that says
    more than its number (K37)."""
    found = tuple(
        TrackerRecord(
            (int(one["device_id"][0]), int(one["device_id"][1])),
            one["path"],
            TrackerSeen(
                block_size=int(one["block_size"]),
                capacity=int(one["capacity"]),
                block_count=int(one["block_count"]),
                generation=str(one["generation"]),
                number=int(one["number"]),
            ),
            bool(one["gone"]),
        )
        for one in context.request("tracker_collect")["trackers"]
    )
    for record in found:
        if record.gone and record.seen != NOTHING_LEFT:
            major, minor = record.device_id
            raise StepFailed(f"{major}:{minor} is gone, and not all zeros: {record.seen} (K37)")
    return found


def tracker_of(context: Context, device: str) -> TrackerSeen | None:
    """The record of one device of the scenario, which may be gone; None if it is not tracked."""
    number = context.number_of(device)
    for record in trackers(context):
        if record.device_id == number and not record.gone:
            return record.seen
    return None


def device_number(context: Context, path: str) -> tuple[int, int]:
    """Major and minor number of a device."""
    info = context.request("device_info", {"path": path})
    return int(info["major"]), int(info["minor"])


def images(context: Context, snapshot_id: str) -> tuple[ImageRecord, ...]:
    """All pairs of a snapshot, in the module's order."""
    return tuple(
        ImageRecord(
            (int(one["original"][0]), int(one["original"][1])),
            (int(one["image"][0]), int(one["image"][1])),
            one["original_path"],
            str(one["path"]),
        )
        for one in context.request("collect_images", {"id": snapshot_id})["images"]
    )


def batches(items: Sequence[tuple[int, ...]], size: int = BATCH) -> Iterator[list[list[int]]]:
    """The items as JSON lists, at most `size` at a time."""
    for start in range(0, len(items), size):
        yield [list(item) for item in items[start : start + size]]


def as_lists(ranges: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Ranges as JSON lists."""
    return [[sector, count] for sector, count in ranges]

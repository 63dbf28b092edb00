"""What was observed in the guest, as plain values, and how the agent spells it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class SeenKind(StrEnum):
    """What a run of sectors turned out to hold."""

    ZERO = "zero"
    STAMP = "stamp"
    GARBAGE = "garbage"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Seen:
    """A run of `count` sectors of one kind, read from `sector` on."""

    sector: int
    count: int
    kind: SeenKind
    tag: int = 0
    seq: int = 0
    origin: int = 0
    """Sector that the first stamp of the run names; the next ones name the next sectors."""
    errno: int = 0
    detail: str = ""
    """For garbage: what the first such sector looked like."""

    @property
    def end(self) -> int:
        """The first sector after it."""
        return self.sector + self.count


@dataclass(frozen=True, slots=True)
class MapRun:
    """`count` bytes of a CBT map of one value, from block `block` on."""

    block: int
    count: int
    value: int


@dataclass(frozen=True, slots=True)
class TrackerSeen:
    """What TRACKER_COLLECT says of one device; block_size and capacity in bytes."""

    block_size: int
    capacity: int
    block_count: int
    generation: str
    number: int


@dataclass(frozen=True, slots=True)
class LoadWrite:
    """A write of a background load; times are CLOCK_MONOTONIC nanoseconds of the guest."""

    seq: int
    sector: int
    count: int
    issued: int
    done: int | None
    """None: still in flight."""
    errno: int = 0


def seen_from_wire(
    runs: Iterable[Sequence[Any]], errors: Iterable[Sequence[Any]] = ()
) -> tuple[Seen, ...]:
    """The answer of the agent's `scan`: runs [sector, count, kind, tag, seq, origin, ...] and
    errors [sector, count, errno], together in order of sectors."""
    found = [_seen_run(run) for run in runs]
    found += [Seen(int(s), int(n), SeenKind.ERROR, errno=int(e)) for s, n, e in errors]
    return tuple(sorted(found, key=lambda seen: seen.sector))


def _seen_run(run: Sequence[Any]) -> Seen:
    sector, count, kind = int(run[0]), int(run[1]), SeenKind(run[2])
    if kind is SeenKind.STAMP:
        return Seen(sector, count, kind, int(run[3]), int(run[4]), int(run[5]))
    detail = " ".join(str(part) for part in run[6:] if part is not None)
    return Seen(sector, count, kind, detail=detail if kind is SeenKind.GARBAGE else "")


def map_runs_from_wire(runs: Iterable[Sequence[int]]) -> tuple[MapRun, ...]:
    """The answer of the agent's `read_cbt`: [block, count, value] each."""
    return tuple(MapRun(int(block), int(count), int(value)) for block, count, value in runs)


def load_writes_from_wire(writes: Iterable[Sequence[Any]]) -> tuple[LoadWrite, ...]:
    """The report of a writers load: [seq, sector, count, issued, done|null, errno|null] each."""
    return tuple(
        LoadWrite(int(q), int(s), int(n), int(t), None if d is None else int(d), int(e or 0))
        for q, s, n, t, d, e in writes
    )

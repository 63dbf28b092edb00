"""Stamped writes in a chosen way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Optional

from lab import stamp
from lab.agent.block.device import opened
from lab.agent.block.uring import UringDsyncWay, UringNowaitWay, UringPolledWay, UringWay
from lab.agent.block.ways import (
    BufferedWay,
    DsyncWay,
    Failure,
    How,
    MmapWay,
    NowaitWay,
    Way,
    WrittenBackWay,
)
from lab.errors import UsageError
from lab.units import SECTOR

_CLASSES: dict[How, type[Way]] = {
    How.DIRECT: Way,
    How.BUFFERED: BufferedWay,
    How.WRITTEN_BACK: WrittenBackWay,
    How.DSYNC: DsyncWay,
    How.MMAP: MmapWay,
    How.IO_URING: UringWay,
    How.IO_URING_DSYNC: UringDsyncWay,
    How.NOWAIT: NowaitWay,
    How.IO_URING_NOWAIT: UringNowaitWay,
    How.IO_URING_POLLED: UringPolledWay,
}

StampedWrite = tuple[int, int, int]  # sector, count, seq


@contextmanager
def way_to(path: str, how: How, size: int, depth: int = 1) -> Iterator[Way]:
    """`path` opened for writes of up to `size` bytes, `depth` at once (io_uring)."""
    kind = _CLASSES[how]
    with opened(path, kind.flags) as fd:
        way = kind(fd, size, depth) if issubclass(kind, UringWay) else kind(fd, size)
        try:
            yield way
        finally:
            way.close()


def put(way: Way, tag: int, token: int, write: StampedWrite) -> None:
    """Stamp the way's buffer and hand it over as one write."""
    sector, count, seq = write
    with way.buffer(count * SECTOR) as buffer:
        stamp.fill(buffer, tag, sector, seq)
    way.submit(token, sector * SECTOR, count * SECTOR)


def pieces(
    writes: Sequence[StampedWrite], chunk: Optional[int]
) -> Iterator[tuple[int, StampedWrite]]:
    """Each write with its place in the list, cut into pieces of `chunk` bytes if that is given."""
    step = None if chunk is None else chunk // SECTOR
    for place, (sector, count, seq) in enumerate(writes):
        for start in range(0, count, step or max(count, 1)):
            yield place, (sector + start, min(step or count, count - start), seq)


def write_stamped(
    path: str,
    tag: int,
    writes: Sequence[StampedWrite],
    how: How,
    *,
    depth: int,
    chunk: Optional[int],
    sync: bool,
    stop: bool,
) -> list[Failure]:
    """Make the writes in order; the failures, by place in the list.

    chunk: bytes of one call. stop: end at the first failure instead of going on.
    """
    if chunk is not None and (chunk < SECTOR or chunk % SECTOR):
        raise UsageError(f"write: chunk {chunk} is no multiple of {SECTOR}")
    if any(count < 1 for _, count, _ in writes):
        raise UsageError("write: a write of no sectors")
    largest = max(count for _, count, _ in writes) * SECTOR
    size = largest if chunk is None else min(largest, chunk)
    with way_to(path, how, size, depth) as way:
        for place, write in pieces(writes, chunk):
            put(way, tag, place, write)
            if stop and way.failures:
                break
        way.finish(sync)
        return way.failures

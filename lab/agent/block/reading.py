"""Reading devices piece by piece, with read errors narrowed down to blocks."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Union

from lab.agent.block.device import opened
from lab.agent.block.memory import Aligned
from lab.units import SECTOR

PIECE = 1 << 20
_FINER = 16


@dataclass(frozen=True)
class Good:
    """Bytes read, from `sector` on."""

    sector: int
    data: bytes


@dataclass(frozen=True)
class Bad:
    """`count` sectors that cannot be read. errno 61 (ENODATA): beyond the end of the device."""

    sector: int
    count: int
    errno: int


Piece = Union[Good, Bad]


class Reader:
    """Reads one open device with one buffer.

    grain: bytes to which errors are narrowed down. once: an error that does not come back is none,
    but in `passing`.
    """

    def __init__(self, fd: int, memory: Aligned, grain: int, *, once: bool = False) -> None:
        self._fd = fd
        self._memory = memory
        self._grain = max(1, grain // SECTOR)
        self._once_only = once
        self.passing: list[Bad] = []

    def pieces(self, sector: int, count: int) -> Iterator[Piece]:
        """The range in pieces of at most a MiB, in order, without gaps.

        Where a read fails it is made again in sixteen parts, down to the grain, so that an error
        names only the blocks that have it. One that does not come back in any of its parts has
        happened all the same, and names the whole piece, unless it may happen once.
        """
        step = self._memory.size // SECTOR
        for start in range(sector, sector + count, step):
            yield from self._read(start, min(step, sector + count - start))

    def views(self, sector: int, count: int) -> Iterator[tuple[int, memoryview]]:
        """The range in pieces of at most a MiB as (sector, bytes), valid until the next one.

        The first read that fails or is short is an OSError (ENODATA: beyond the end).
        """
        step = self._memory.size // SECTOR
        for start in range(sector, sector + count, step):
            size = min(step, sector + count - start) * SECTOR
            with self._memory[:size] as view:
                got = os.preadv(self._fd, [view], start * SECTOR)
                if got != size:
                    raise OSError(errno.ENODATA, f"only {got} of {size} bytes at sector {start}")
                yield start, view

    def _read(self, sector: int, count: int) -> Iterator[Piece]:
        # Through the page cache a read that fails is a short one.
        failed = errno.EIO
        try:
            data = self._once(sector, count)
        except OSError as error:
            failed = error.errno or errno.EIO
            if count <= self._grain:
                yield Bad(sector, count, failed)
                return
        else:
            if len(data) == count * SECTOR:
                yield Good(sector, data)
                return
            if not data:
                yield Bad(sector, count, errno.ENODATA)
                return
        finer = list(self._read_finer(sector, count))
        if any(isinstance(piece, Bad) for piece in finer):
            yield from finer
        elif self._once_only:
            parts = range(sector, sector + count)
            self.passing = [one for one in self.passing if one.sector not in parts]
            self.passing.append(Bad(sector, count, failed))
            yield from finer
        else:
            yield Bad(sector, count, failed)

    def _read_finer(self, sector: int, count: int) -> Iterator[Piece]:
        part = max(self._grain, -(-count // _FINER) // self._grain * self._grain)
        if part >= count:
            # A short read that is no multiple of the grain: the end of an odd-sized device.
            part = count // 2
        if part == 0:
            yield Bad(sector, count, errno.ENODATA)
            return
        for start in range(0, count, part):
            yield from self._read(sector + start, min(part, count - start))

    def _once(self, sector: int, count: int) -> bytes:
        with self._memory[: count * SECTOR] as view:
            got = os.preadv(self._fd, [view], sector * SECTOR)
            return bytes(view[:got])


@contextmanager
def reader_of(
    path: str, direct: bool, grain: int = 4096, piece: int = PIECE, *, once: bool = False
) -> Iterator[Reader]:
    """`path` opened for reading. grain, once: see Reader."""
    with opened(path, os.O_RDONLY | (os.O_DIRECT if direct else 0)) as fd, Aligned(piece) as memory:
        yield Reader(fd, memory, grain, once=once)

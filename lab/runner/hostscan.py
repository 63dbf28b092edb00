"""What the sectors of a disk hold, read on the host from the file behind it.

The file of a guest's disk is sparse and raw, and QEMU writes it through the host's page cache, so
what the guest has flushed is there at once. Reading it here costs a fraction of reading it in an
emulated guest, and no code that is being tested takes part. Holes are zeros and are not read.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from lab import stamp
from lab.model.seen import Seen, seen_from_wire
from lab.units import MIB, SECTOR

PIECE = 4 * MIB


def readable(path: Path) -> bool:
    """True if the disk's bytes lie in the file as they are (and not in a qcow2)."""
    return path.suffix == ".raw" and path.is_file()


def scan_file(path: Path, size: int) -> tuple[Seen, ...]:
    """All sectors of a disk of `size` bytes, in order, without gaps."""
    runs: list[stamp.Run] = []
    position = 0
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        for start, end in _data(fd, size):
            if start > position:
                runs.append(_zeros(position, start))
            for offset in range(start, end, PIECE):
                data = _read(fd, offset, min(PIECE, end - offset))
                runs += stamp.scan(data, offset // SECTOR)
            position = end
    finally:
        os.close(fd)
    if position < size:
        runs.append(_zeros(position, size))
    return seen_from_wire(
        [run.sector, run.count, run.kind.value, *run[3:]] for run in stamp.joined(runs)
    )


def _data(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """Ranges of bytes that are not holes, grown to whole sectors."""
    position = 0
    while position < size:
        try:
            start = os.lseek(fd, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        end = os.lseek(fd, start, os.SEEK_HOLE)
        start = start // SECTOR * SECTOR
        end = min(-(-end // SECTOR) * SECTOR, size)
        if start >= end:
            return
        yield start, end
        position = end


def _read(fd: int, offset: int, length: int) -> bytes:
    """Exactly `length` bytes; what lies beyond the end of a shorter file is zeros."""
    parts = []
    while length:
        part = os.pread(fd, length, offset)
        if not part:
            parts.append(bytes(length))
            break
        parts.append(part)
        offset, length = offset + len(part), length - len(part)
    return b"".join(parts)


def _zeros(start: int, end: int) -> stamp.Run:
    return stamp.Run(start // SECTOR, (end - start) // SECTOR, stamp.Kind.ZERO)

"""Builds logs as dm-log-writes does, for tests."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import stamp
from lab.crash.log import MAGIC, Flag
from lab.units import SECTOR

TAG = 7
NONE = Flag(0)


@dataclass(frozen=True)
class Put:
    """A write of one stamp, or of other data; without `count` a flush."""

    sector: int = 0
    count: int = 0
    seq: int = 1
    flags: Flag = NONE
    other: bytes = b""

    @property
    def data(self) -> bytes:
        if self.other:
            return self.other
        return bytes(stamp.build(TAG, self.sector, self.count, self.seq)) if self.count else b""


FLUSH = Put(flags=Flag.FLUSH)


def write_log(path: Path, puts: Sequence[Put], block: int = SECTOR, entries: int = -1) -> Path:
    """A log file with these entries; the super block says `entries` if that is given."""
    number = len(puts) if entries < 0 else entries
    out = struct.pack("<QQQI", MAGIC, 1, number, block).ljust(block, b"\0")
    for put in puts:
        place, count = put.sector * SECTOR // block, put.count * SECTOR // block
        out += struct.pack("<QQQQ", place, count, put.flags, 0).ljust(block, b"\0")
        out += b"" if put.flags & Flag.DISCARD else put.data
    path.write_bytes(out)
    return path

"""The log of all writes to a disk, as dm-log-writes and QEMU's blklogwrites keep it.

Source: Documentation/admin-guide/device-mapper/log-writes.rst and drivers/md/dm-log-writes.c of
Linux; block/blklogwrites.c of QEMU. All numbers are little-endian. The first block of the log is
the super block, then come the entries: a block with the entry's head, then its data. Places and
lengths are in blocks of the log, here always translated to sectors of 512 bytes.

An entry stands in the log when it has reached the disk and before the guest was told so. So an
entry that follows another one in the log may have been issued before that was acknowledged; but
one that was issued after the acknowledgement always follows it.

QEMU gives an entry its place in the log before it writes it there, and counts it. When QEMU is
killed meanwhile, the entry is a hole, perhaps with entries of others behind it; the guest was not
told that it is done. So holes are passed over: no entry begins with zeros.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntFlag
from pathlib import Path
from types import TracebackType
from typing import Self

from lab.errors import LabError
from lab.units import SECTOR

MAGIC = 0x6A736677736872
VERSION = 1
_SUPER = struct.Struct("<QQQI")
_HEAD = struct.Struct("<QQQQ")
_BLOCKS = (512, 1024, 2048, 4096)


class LogError(LabError):
    """The file is no log."""


class Flag(IntFlag):
    """What an entry says beside its data."""

    FLUSH = 1
    """All that was acknowledged before is safe; stands before the entry's own data."""
    FUA = 2
    """The data itself is safe."""
    DISCARD = 4
    """No data: the sectors were given up."""
    MARK = 8
    """No write, a word of the user."""
    METADATA = 16


@dataclass(frozen=True, slots=True)
class Entry:
    """One write, discard or flush: sectors of the disk, and the byte of the log its data is at."""

    sector: int
    count: int
    flags: Flag
    data_at: int

    @property
    def writes(self) -> bool:
        """Whether it changes what the disk holds."""
        return self.count > 0 and not self.flags & Flag.MARK


class WriteLog:
    """A log file, read; a context manager. One that is still written shows what it had so far."""

    def __init__(self, path: Path) -> None:
        """LogError if it is no log. An empty file is a log without entries."""
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._path = path
            self._block, number = self._super()
            self.entries = tuple(self._walk(number))
        except BaseException:
            os.close(self._fd)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._fd)

    def data(self, entry: Entry) -> bytes:
        """What an entry wrote; zeros for a discard, which a disk file reads as afterwards."""
        size = entry.count * SECTOR
        if entry.flags & Flag.DISCARD:
            return bytes(size)
        return self._read(entry.data_at, size)

    def _super(self) -> tuple[int, int]:
        """Bytes of a block, and the number of entries."""
        head = os.pread(self._fd, _SUPER.size, 0)
        if not head.strip(b"\0"):
            return SECTOR, 0
        if len(head) != _SUPER.size:
            raise LogError(f"{self._path} ends within its super block")
        magic, version, number, block = _SUPER.unpack(head)
        if (magic, version) != (MAGIC, VERSION) or block not in _BLOCKS:
            raise LogError(f"{self._path} is no log of version {VERSION}: {head.hex()}")
        return block, number

    def _walk(self, number: int) -> Iterator[Entry]:
        at, size = self._block, os.fstat(self._fd).st_size
        while number and at + _HEAD.size <= size:
            head = self._read(at, _HEAD.size)
            at += self._block
            if not any(head):
                continue
            sector, count, flags, length = _HEAD.unpack(head)
            entry = Entry(
                sector * self._block // SECTOR, count * self._block // SECTOR, Flag(flags), at
            )
            if entry.flags & Flag.MARK:
                # Its words stand in the block of the head.
                if length > self._block - _HEAD.size:
                    raise LogError(f"{self._path}: a mark of {length} bytes")
            elif not entry.flags & Flag.DISCARD:
                at += entry.count * SECTOR
            if at > max(size, entry.data_at):
                return
            yield entry
            number -= 1

    def _read(self, at: int, size: int) -> bytes:
        data = os.pread(self._fd, size, at)
        if len(data) != size:
            raise LogError(f"{self._path} ends at byte {at + len(data)}, within an entry")
        return data


def count_entries(path: Path) -> int:
    """How many entries a log has by now, without reading them; 0 if there is none yet."""
    with path.open("rb") as file:
        head = file.read(_SUPER.size)
    if not head.strip(b"\0"):
        return 0
    return int(_SUPER.unpack(head)[2])

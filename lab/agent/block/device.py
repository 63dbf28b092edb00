"""Opening block devices (or files) and the ioctls on them. Source: include/uapi/linux/fs.h."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum

from lab.agent.syscalls import ioctl_bytes
from lab.units import SECTOR

FIFREEZE, FITHAW = 0xC004_5877, 0xC004_5878

_BLKSSZGET = 0x1268
_BLKDISCARD = 0x1277
_BLKPBSZGET = 0x127B
_BLKSECDISCARD = 0x127D
_BLKZEROOUT = 0x127F
_BLKGETSIZE64 = 0x8008_1272


class Erase(str, Enum):
    """Ways to write without data."""

    WRITE_ZEROES = "write_zeroes"
    DISCARD = "discard"
    SECURE_ERASE = "secure_erase"


_ERASE_REQUESTS = {
    Erase.WRITE_ZEROES: _BLKZEROOUT,
    Erase.DISCARD: _BLKDISCARD,
    Erase.SECURE_ERASE: _BLKSECDISCARD,
}


@dataclass(frozen=True)
class Geometry:
    """Size in bytes, block sizes in bytes, number."""

    size: int
    logical_block_size: int
    physical_block_size: int
    major: int
    minor: int


@contextmanager
def opened(path: str, flags: int) -> Iterator[int]:
    """A descriptor of `path`, closed at the end. O_CLOEXEC is added."""
    fd = os.open(path, flags | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def geometry(fd: int) -> Geometry:
    """What the block layer says of an open device; of a regular file: its size, 512-byte blocks."""
    status = os.fstat(fd)
    if not stat.S_ISBLK(status.st_mode):
        major, minor = os.major(status.st_dev), os.minor(status.st_dev)
        return Geometry(status.st_size, SECTOR, SECTOR, major, minor)
    return Geometry(
        size=struct.unpack("Q", ioctl_bytes(fd, _BLKGETSIZE64, bytes(8)))[0],
        logical_block_size=_int(fd, _BLKSSZGET),
        physical_block_size=_int(fd, _BLKPBSZGET),
        major=os.major(status.st_rdev),
        minor=os.minor(status.st_rdev),
    )


def erase(fd: int, how: Erase, sector: int, count: int) -> None:
    """BLKZEROOUT, BLKDISCARD or BLKSECDISCARD of a range in sectors."""
    ioctl_bytes(fd, _ERASE_REQUESTS[how], struct.pack("QQ", sector * SECTOR, count * SECTOR))


def _int(fd: int, request: int) -> int:
    value: int = struct.unpack("i", ioctl_bytes(fd, request, bytes(4)))[0]
    return value

# SPDX-License-Identifier: MIT
"""From a file to the sector ranges it occupies, for use as difference storage.

FS_IOC_FIEMAP names each extent's bytes on the block device under the file system (st_dev). The
module overwrites those sectors behind the file system's back, so a file qualifies only if the
file system will leave them where they are and nobody else owns them. Source: the kernel's
Documentation/filesystems/fiemap.rst and include/uapi/linux/fiemap.h; works on Linux 5.10 and later.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional

from .device import Device, FilePath
from .errors import UnfitFileError, expect_type
from .results import SectorRange
from .system import fallocate, ioctl

_SECTOR = 512
ALIGNMENT = 4096  # the module wants storage in multiples of 8 sectors
_EXTENTS_PER_CALL = 512
_GROWTHS = 16
_FIEMAP_FLAG_SYNC = 0x1
_FIEMAP_EXTENT_LAST = 0x1
_FS_XFLAG_REALTIME = 0x1
_MOUNTS = Path("/proc/self/mountinfo")
# They write what changes, and what they tidy up, to another place, and give the old one away.
_MOVING = frozenset({"f2fs", "nilfs2", "bcachefs"})
# Unwritten (0x800) is what preallocation makes and is welcome: the blocks are the file's own.
_UNFIT_FLAGS = {
    0x2: "has no place on disk yet (unknown)",
    0x4: "waits for delayed allocation",
    0x8: "is encoded (compressed)",
    0x80: "is encrypted",
    0x100: "is not aligned to blocks",
    0x200: "lies inside the inode (inline)",
    0x400: "is packed with other data (tail)",
    0x2000: "is shared with another file or a snapshot",
}


class fiemap_extent(ctypes.Structure):  # noqa: N801
    """struct fiemap_extent; offsets and length in bytes."""

    _fields_ = (
        ("fe_logical", ctypes.c_uint64),
        ("fe_physical", ctypes.c_uint64),
        ("fe_length", ctypes.c_uint64),
        ("fe_reserved64", ctypes.c_uint64 * 2),
        ("fe_flags", ctypes.c_uint32),
        ("fe_reserved", ctypes.c_uint32 * 3),
    )


class fiemap_header(ctypes.Structure):  # noqa: N801
    """struct fiemap without its extents."""

    _fields_ = (
        ("fm_start", ctypes.c_uint64),
        ("fm_length", ctypes.c_uint64),
        ("fm_flags", ctypes.c_uint32),
        ("fm_mapped_extents", ctypes.c_uint32),
        ("fm_extent_count", ctypes.c_uint32),
        ("fm_reserved", ctypes.c_uint32),
    )


class fiemap_request(ctypes.Structure):  # noqa: N801
    """struct fiemap with room for extents."""

    _fields_ = (("header", fiemap_header), ("extents", fiemap_extent * _EXTENTS_PER_CALL))


class fsxattr(ctypes.Structure):  # noqa: N801
    """struct fsxattr, of which only the flags matter here."""

    _fields_ = (("fsx_xflags", ctypes.c_uint32), ("rest", ctypes.c_uint8 * 24))


def _ioc(direction: int, kind: str, number: int, argument: type[ctypes.Structure]) -> int:
    return direction << 30 | ctypes.sizeof(argument) << 16 | ord(kind) << 8 | number


FS_IOC_FIEMAP = _ioc(3, "f", 11, fiemap_header)
FS_IOC_FSGETXATTR = _ioc(2, "X", 31, fsxattr)


@dataclass(frozen=True)
class FileRanges:
    """Where a file lies: `ranges` in sectors of `device`, in file order, joined where they touch.

    size: bytes of the file, which may be more than was asked for. lost: bytes at the ends of
    extents that are not 4 KiB aligned on disk (file systems with smaller blocks) and so are not
    part of the ranges.
    """

    device: Device
    ranges: tuple[SectorRange, ...]
    size: int
    lost: int


def allocate(path: FilePath, size: Optional[int] = None) -> FileRanges:
    """Where a file lies, after it was made and preallocated; the ranges are `size` bytes exactly.

    Without size: the file as it is, and none is made. With it, a multiple of 4096, the file gets a
    little longer where its blocks are not all 4 KiB aligned on disk; what is made stays, also
    after an error. OSError from the file system (ENOENT without size, ENOSPC, EOPNOTSUPP for no
    fallocate ...); UnfitFileError as from locate(). ValueError: a size that is no such multiple.
    """
    name = os.fsdecode(path)
    expect_type("size", size, (int, type(None)), "a number of bytes or None")
    if size is not None and (size <= 0 or size % ALIGNMENT):
        raise ValueError(f"{name}: size {size} is no multiple of {ALIGNMENT}")
    made = 0 if size is None else os.O_CREAT
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | made, 0o600)
    try:
        _refuse_unfit_place(fd, name)
        length = size
        for _ in range(_GROWTHS):
            if length is not None:
                fallocate(fd, length, name)
            os.fsync(fd)
            found = locate(fd, name)
            if size is None or length is None:
                return found
            usable = sum(one.count for one in found.ranges) * _SECTOR
            if usable >= size:
                return replace(found, ranges=_first(found.ranges, size // _SECTOR))
            length = max(length, found.size) + size - usable
    finally:
        os.close(fd)
    raise UnfitFileError(name, f"its blocks are too scattered for {size} aligned bytes")


def locate(fd: int, name: str) -> FileRanges:
    """Where the open file lies. FIEMAP_FLAG_SYNC, so nothing is left in delayed allocation.

    UnfitFileError if it is no regular file, has holes, lies on a file system without a block
    device of its own (btrfs, tmpfs, overlay) or that moves blocks (f2fs, nilfs2, bcachefs), or an
    extent is shared, encoded, inline or not yet placed.
    """
    _refuse_unfit_place(fd, name)
    status = os.fstat(fd)
    reached, lost = 0, 0
    ranges: list[SectorRange] = []
    for extent in _extents(fd, name, status.st_size):
        if extent.fe_logical > reached:
            raise UnfitFileError(name, f"it has a hole at byte {reached}")
        reached = extent.fe_logical + extent.fe_length
        whole = _aligned(extent)
        lost += extent.fe_length - whole.count * _SECTOR
        _append(ranges, whole)
    if reached < status.st_size:
        raise UnfitFileError(name, f"it has a hole at byte {reached}")
    if not ranges:
        raise UnfitFileError(name, f"it has no whole block of {ALIGNMENT} bytes, aligned on disk")
    device = Device(os.major(status.st_dev), os.minor(status.st_dev))
    return FileRanges(device, tuple(ranges), status.st_size, lost)


def _refuse_unfit_place(fd: int, name: str) -> None:
    """UnfitFileError for what no preallocation helps: the kind of file, where it is."""
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        raise UnfitFileError(name, "it is no regular file")
    if os.major(status.st_dev) == 0:
        raise UnfitFileError(name, "its file system does not lie on one block device by itself")
    kind = _file_system(status.st_dev)
    if kind in _MOVING:
        raise UnfitFileError(name, f"{kind} moves the blocks of files to other places")
    if _is_realtime(fd):
        raise UnfitFileError(name, "it lies on the realtime device of its file system")


def _file_system(device: int) -> str:
    """The kind of the file system that is mounted from a device; "" if nobody says.

    Source: /proc/self/mountinfo, proc(5).
    """
    number = f"{os.major(device)}:{os.minor(device)}".encode()
    # As bytes: names of places are in any encoding, and may have what ends a line of text.
    with _MOUNTS.open("rb") as listed:
        for line in listed:
            mounted, _, rest = line.partition(b" - ")
            if mounted.split()[2] == number:
                return rest.split()[0].decode()
    return ""


def _is_realtime(fd: int) -> bool:
    attributes = fsxattr()
    try:
        ioctl(fd, FS_IOC_FSGETXATTR, attributes)
    except OSError:
        return False  # A file system without these flags has no realtime device.
    return bool(attributes.fsx_xflags & _FS_XFLAG_REALTIME)


def _extents(fd: int, name: str, size: int) -> Iterator[fiemap_extent]:
    start = 0
    while start < size:
        request = fiemap_request()
        request.header.fm_start = start
        request.header.fm_length = size - start
        request.header.fm_flags = _FIEMAP_FLAG_SYNC
        request.header.fm_extent_count = _EXTENTS_PER_CALL
        try:
            ioctl(fd, FS_IOC_FIEMAP, request)
        except OSError as error:
            if error.errno in (errno.EOPNOTSUPP, errno.ENOTTY):
                raise UnfitFileError(name, "its file system has no FIEMAP") from None
            raise
        for place in range(request.header.fm_mapped_extents):
            extent = request.extents[place]
            _refuse_unfit(extent, name)
            yield extent
            start = extent.fe_logical + extent.fe_length
            if extent.fe_flags & _FIEMAP_EXTENT_LAST:
                return
        if request.header.fm_mapped_extents == 0:
            return


def _refuse_unfit(extent: fiemap_extent, name: str) -> None:
    for flag, reason in _UNFIT_FLAGS.items():
        if extent.fe_flags & flag:
            raise UnfitFileError(name, f"its extent at byte {extent.fe_logical} {reason}")


def _first(ranges: tuple[SectorRange, ...], count: int) -> tuple[SectorRange, ...]:
    """The first `count` sectors of the ranges."""
    kept = []
    for one in ranges:
        part = min(one.count, count)
        if part:
            kept.append(SectorRange(one.sector, part))
        count -= part
    return tuple(kept)


def _aligned(extent: fiemap_extent) -> SectorRange:
    """The part of an extent made of whole 4 KiB units of the device; maybe empty."""
    first = -(-extent.fe_physical // ALIGNMENT) * ALIGNMENT
    end = (extent.fe_physical + extent.fe_length) // ALIGNMENT * ALIGNMENT
    return SectorRange(first // _SECTOR, max(0, end - first) // _SECTOR)


def _append(ranges: list[SectorRange], more: SectorRange) -> None:
    if more.count == 0:
        return
    if ranges and ranges[-1].end == more.sector:
        last = ranges.pop()
        more = SectorRange(last.sector, last.count + more.count)
    ranges.append(more)

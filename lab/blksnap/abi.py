# SPDX-License-Identifier: MIT
"""The binary interface of the blksnap module, in the spelling of its C header, and nothing else.

Structures have the natural layout of x86-64; request numbers are computed from the structures' own
sizes, so a wrong layout shows as ENOTTY at the first call. Integers are native endian. Arrays are
passed as addresses (void *): whoever fills one in must keep the array object alive for the call.
The direction bits of the requests do not follow the data; they are part of the numeric interface.

Runs on its own: Python 3.9, standard library only.
"""

from __future__ import annotations

import ctypes

BLK_SNAP_MODULE_NAME = "blksnap"
BLK_SNAP_CTL = "/dev/blksnap"
BLK_SNAP_IMAGE_NAME = "blksnap-image"
BLK_SNAP = ord("V")

# enum blk_snap_event_codes
BLK_SNAP_EVENT_CODE_LOW_FREE_SPACE = 0
BLK_SNAP_EVENT_CODE_CORRUPTED = 1

_UUID = ctypes.c_uint8 * 16
_IOC_WRITE = 1
_IOC_READ = 2


class blk_snap_version(ctypes.Structure):  # noqa: N801
    """Version of the module."""

    _fields_ = (
        ("major", ctypes.c_uint16),
        ("minor", ctypes.c_uint16),
        ("revision", ctypes.c_uint16),
        ("build", ctypes.c_uint16),
    )


class blk_snap_dev_t(ctypes.Structure):  # noqa: N801
    """Number of a block device."""

    _fields_ = (("mj", ctypes.c_uint32), ("mn", ctypes.c_uint32))


class blk_snap_tracker_remove(ctypes.Structure):  # noqa: N801
    """Argument of TRACKER_REMOVE."""

    _fields_ = (("dev_id", blk_snap_dev_t),)


class blk_snap_cbt_info(ctypes.Structure):  # noqa: N801
    """One tracked device: sizes in bytes, the generation and the number of the last take."""

    _fields_ = (
        ("dev_id", blk_snap_dev_t),
        ("blk_size", ctypes.c_uint32),
        ("device_capacity", ctypes.c_uint64),
        ("blk_count", ctypes.c_uint32),
        ("generation_id", _UUID),
        ("snap_number", ctypes.c_uint8),
    )


class blk_snap_tracker_collect(ctypes.Structure):  # noqa: N801
    """Argument of TRACKER_COLLECT; `count` goes in and out, NULL array only asks for the count."""

    _fields_ = (("count", ctypes.c_uint32), ("cbt_info_array", ctypes.c_void_p))


class blk_snap_tracker_read_cbt_bitmap(ctypes.Structure):  # noqa: N801
    """Argument of TRACKER_READ_CBT_MAP; offset and length in bytes, one for each block."""

    _fields_ = (
        ("dev_id", blk_snap_dev_t),
        ("offset", ctypes.c_uint32),
        ("length", ctypes.c_uint32),
        ("buff", ctypes.c_void_p),
    )


class blk_snap_block_range(ctypes.Structure):  # noqa: N801
    """A range in 512-byte sectors from the start of its device or partition."""

    _fields_ = (("sector_offset", ctypes.c_uint64), ("sector_count", ctypes.c_uint64))


class blk_snap_tracker_mark_dirty_blocks(ctypes.Structure):  # noqa: N801
    """Argument of TRACKER_MARK_DIRTY_BLOCKS; the device is an original or an image."""

    _fields_ = (
        ("dev_id", blk_snap_dev_t),
        ("count", ctypes.c_uint32),
        ("dirty_blocks_array", ctypes.c_void_p),
    )


class blk_snap_snapshot_create(ctypes.Structure):  # noqa: N801
    """Argument of SNAPSHOT_CREATE; `id` is the result."""

    _fields_ = (("count", ctypes.c_uint32), ("dev_id_array", ctypes.c_void_p), ("id", _UUID))


class blk_snap_snapshot_destroy(ctypes.Structure):  # noqa: N801
    """Argument of SNAPSHOT_DESTROY."""

    _fields_ = (("id", _UUID),)


class blk_snap_snapshot_append_storage(ctypes.Structure):  # noqa: N801
    """Argument of SNAPSHOT_APPEND_STORAGE: ranges of one device for the difference storage."""

    _fields_ = (
        ("id", _UUID),
        ("dev_id", blk_snap_dev_t),
        ("count", ctypes.c_uint32),
        ("ranges", ctypes.c_void_p),
    )


class blk_snap_snapshot_take(ctypes.Structure):  # noqa: N801
    """Argument of SNAPSHOT_TAKE."""

    _fields_ = (("id", _UUID),)


class blk_snap_snapshot_collect(ctypes.Structure):  # noqa: N801
    """Argument of SNAPSHOT_COLLECT; `count` goes in and out, NULL array only asks for the count."""

    _fields_ = (("count", ctypes.c_uint32), ("ids", ctypes.c_void_p))


class blk_snap_image_info(ctypes.Structure):  # noqa: N801
    """An original and its snapshot image."""

    _fields_ = (("orig_dev_id", blk_snap_dev_t), ("image_dev_id", blk_snap_dev_t))


class blk_snap_snapshot_collect_images(ctypes.Structure):  # noqa: N801
    """Argument of SNAPSHOT_COLLECT_IMAGES; `count` goes in and out."""

    _fields_ = (("id", _UUID), ("count", ctypes.c_uint32), ("image_info_array", ctypes.c_void_p))


class blk_snap_snapshot_event(ctypes.Structure):  # noqa: N801
    """Argument of SNAPSHOT_WAIT_EVENT; time_label in ns of CLOCK_MONOTONIC."""

    _fields_ = (
        ("id", _UUID),
        ("timeout_ms", ctypes.c_uint32),
        ("code", ctypes.c_uint32),
        ("time_label", ctypes.c_int64),
        ("data", ctypes.c_uint8 * 4064),
    )


class blk_snap_event_low_free_space(ctypes.Structure):  # noqa: N801
    """Payload of event 0: the portion asked for, in sectors."""

    _fields_ = (("requested_nr_sect", ctypes.c_uint64),)


class blk_snap_event_corrupted(ctypes.Structure):  # noqa: N801
    """Payload of event 1: the original whose image is spoiled, and a positive errno."""

    _fields_ = (("orig_dev_id", blk_snap_dev_t), ("err_code", ctypes.c_int32))


def _ioc(direction: int, number: int, argument: type[ctypes.Structure]) -> int:
    return direction << 30 | ctypes.sizeof(argument) << 16 | BLK_SNAP << 8 | number


def _iow(number: int, argument: type[ctypes.Structure]) -> int:
    return _ioc(_IOC_WRITE, number, argument)


def _ior(number: int, argument: type[ctypes.Structure]) -> int:
    return _ioc(_IOC_READ, number, argument)


IOCTL_BLK_SNAP_VERSION = _iow(0, blk_snap_version)
IOCTL_BLK_SNAP_TRACKER_REMOVE = _iow(1, blk_snap_tracker_remove)
IOCTL_BLK_SNAP_TRACKER_COLLECT = _iow(2, blk_snap_tracker_collect)
IOCTL_BLK_SNAP_TRACKER_READ_CBT_MAP = _ior(3, blk_snap_tracker_read_cbt_bitmap)
IOCTL_BLK_SNAP_TRACKER_MARK_DIRTY_BLOCKS = _ior(4, blk_snap_tracker_mark_dirty_blocks)
IOCTL_BLK_SNAP_SNAPSHOT_CREATE = _iow(5, blk_snap_snapshot_create)
IOCTL_BLK_SNAP_SNAPSHOT_DESTROY = _ior(6, blk_snap_snapshot_destroy)
IOCTL_BLK_SNAP_SNAPSHOT_APPEND_STORAGE = _iow(7, blk_snap_snapshot_append_storage)
IOCTL_BLK_SNAP_SNAPSHOT_TAKE = _ior(8, blk_snap_snapshot_take)
IOCTL_BLK_SNAP_SNAPSHOT_COLLECT = _iow(9, blk_snap_snapshot_collect)
IOCTL_BLK_SNAP_SNAPSHOT_COLLECT_IMAGES = _iow(10, blk_snap_snapshot_collect_images)
IOCTL_BLK_SNAP_SNAPSHOT_WAIT_EVENT = _iow(11, blk_snap_snapshot_event)

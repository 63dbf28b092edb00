# SPDX-License-Identifier: MIT
"""What the commands return, as frozen dataclasses; every field says its unit.

Sectors are 512 bytes. Sizes are bytes unless the name says sectors.
"""

from __future__ import annotations

import ctypes
import uuid
from dataclasses import dataclass
from typing import Union

from . import abi
from .device import Device
from .errors import expect_type
from .names import NAMES


@dataclass(frozen=True)
class Version:
    """struct blk_snap_version: the version of the module, 1.0.0.0 for this interface."""

    major: int
    minor: int
    revision: int
    build: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.revision}.{self.build}"


@dataclass(frozen=True, order=True)
class SectorRange:
    """struct blk_snap_block_range: `count` sectors from `sector` on, from the device's start."""

    sector: int
    count: int

    @property
    def end(self) -> int:
        """The first sector behind the range."""
        return self.sector + self.count


@dataclass(frozen=True)
class TrackerInfo:
    """struct blk_snap_cbt_info: a tracked device and the state of its CBT map.

    block_size: bytes of a tracking block. capacity: bytes of the device as the map knows it.
    block_count: blocks, which is also the length of the map in bytes. generation: random, new
    whenever numbers start over. number: of the last take, 0 before the first.
    A device that has gone is reported with its number and zeros (`is_gone`).
    """

    device: Device
    block_size: int
    capacity: int
    block_count: int
    generation: uuid.UUID
    number: int

    @property
    def is_gone(self) -> bool:
        """Whether the device has disappeared since tracking began."""
        return self.block_count == 0

    @classmethod
    def from_abi(cls, info: abi.blk_snap_cbt_info) -> TrackerInfo:
        """From the structure that the module filled in."""
        return cls(
            device=Device.from_abi(info.dev_id),
            block_size=info.blk_size,
            capacity=info.device_capacity,
            block_count=info.blk_count,
            generation=uuid.UUID(bytes=bytes(info.generation_id)),
            number=info.snap_number,
        )


@dataclass(frozen=True)
class ImageInfo:
    """struct blk_snap_image_info: an original and the block device that shows its snapshot."""

    original: Device
    image: Device

    @property
    def path(self) -> str:
        """The image's node: its number is the image's minor, as clients of v0 rely on."""
        return f"/dev/{NAMES.image}{self.image.minor}"

    @classmethod
    def from_abi(cls, info: abi.blk_snap_image_info) -> ImageInfo:
        """From the structure that the module filled in."""
        return cls(Device.from_abi(info.orig_dev_id), Device.from_abi(info.image_dev_id))


@dataclass(frozen=True)
class LowFreeSpaceEvent:
    """struct blk_snap_event_low_free_space: the difference storage wants another portion.

    The first comes at create, for what the snapshot begins with. time_ns: CLOCK_MONOTONIC.
    requested_sectors: size of the wanted portion; storage is in units of 8 sectors, so round up.
    """

    time_ns: int
    requested_sectors: int


@dataclass(frozen=True)
class CorruptedEvent:
    """struct blk_snap_event_corrupted: the image of `device` is spoiled from now on.

    time_ns: CLOCK_MONOTONIC. errno: positive; 28 (ENOSPC) is an overflow of the storage.
    """

    time_ns: int
    device: Device
    errno: int


@dataclass(frozen=True)
class UnknownEvent:
    """An event code this library does not know; `data` is the whole payload field."""

    time_ns: int
    code: int
    data: bytes


Event = Union[LowFreeSpaceEvent, CorruptedEvent, UnknownEvent]


def event_from_abi(event: abi.blk_snap_snapshot_event) -> Event:
    """The event in a structure that the module filled in."""
    data = bytes(event.data)
    if event.code == abi.BLK_SNAP_EVENT_CODE_LOW_FREE_SPACE:
        low = abi.blk_snap_event_low_free_space.from_buffer_copy(data)
        return LowFreeSpaceEvent(event.time_label, low.requested_nr_sect)
    if event.code == abi.BLK_SNAP_EVENT_CODE_CORRUPTED:
        bad = abi.blk_snap_event_corrupted.from_buffer_copy(data)
        return CorruptedEvent(event.time_label, Device.from_abi(bad.orig_dev_id), bad.err_code)
    return UnknownEvent(event.time_label, event.code, data)


def range_array(ranges: tuple[SectorRange, ...]) -> ctypes.Array[abi.blk_snap_block_range]:
    """The C array of ranges; keep it alive while a call uses its address.

    ValueError for a number that its fields cannot hold: ctypes would cut it. TypeError for what is
    no SectorRange.
    """
    array = (abi.blk_snap_block_range * len(ranges))()
    for place, item in enumerate(ranges):
        expect_type("each of ranges", item, (SectorRange,), "a SectorRange")
        if not (0 <= item.sector < 1 << 64 and 0 <= item.count < 1 << 64):
            raise ValueError(f"{item} has a number that is negative or has more than 64 bits")
        array[place].sector_offset = item.sector
        array[place].sector_count = item.count
    return array

# SPDX-License-Identifier: MIT
"""Tracker: change tracking of one device, and its CBT map."""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Iterable
from types import TracebackType
from typing import Callable, Optional

from . import abi
from .cbt import CbtMap
from .device import Device
from .errors import BlksnapError
from .node import Node
from .results import SectorRange, TrackerInfo, range_array


class Tracker:
    """Change tracking of `device`. As a context manager: tracking is removed at the end.

    Tracking begins when a snapshot of the device is created and goes on until it is removed here,
    the module is unloaded or the device goes away; a taken or created snapshot must go first.
    """

    def __init__(
        self, node: Node, device: Device, collect: Callable[[], list[TrackerInfo]]
    ) -> None:
        self.device = device
        self._node = node
        self._collect = collect

    def info(self) -> TrackerInfo:
        """The record of this device from TRACKER_COLLECT. BlksnapError ENODATA if not tracked."""
        found = [info for info in self._collect() if info.device == self.device]
        # One whose device went may still be listed beside that of the device which came.
        if found:
            return min(found, key=lambda one: one.is_gone)
        raise BlksnapError("tracker_collect", errno.ENODATA, str(self.device))

    def cbt_map(self) -> CbtMap:
        """The map as frozen by the last take; readable while a snapshot of the device is taken."""
        return CbtMap(self._node, self.device, self.info)

    def mark_dirty(self, ranges: Iterable[SectorRange]) -> None:
        """IOCTL_BLK_SNAP_TRACKER_MARK_DIRTY_BLOCKS: let blocks count as changed.

        All that `ranges` touch, both in the present map and in the next increment. The device may
        also be a snapshot image: then its original's map is meant. BlksnapError: EINVAL no range,
        an empty one, or one beyond the end (nothing is marked then); ENODEV not tracked.
        ValueError: a number below 0 or of more than 64 bits.
        """
        wanted = tuple(ranges)
        array = range_array(wanted)
        argument = abi.blk_snap_tracker_mark_dirty_blocks()
        argument.dev_id = self.device.to_abi()
        argument.count = len(wanted)
        argument.dirty_blocks_array = ctypes.addressof(array)
        self._node.ioctl(abi.IOCTL_BLK_SNAP_TRACKER_MARK_DIRTY_BLOCKS, argument, str(self.device))

    def remove(self) -> None:
        """IOCTL_BLK_SNAP_TRACKER_REMOVE: stop tracking; the map and its numbers are lost.

        BlksnapError: EBUSY while a snapshot holds the device; ENODATA not tracked.
        """
        argument = abi.blk_snap_tracker_remove(self.device.to_abi())
        self._node.ioctl(abi.IOCTL_BLK_SNAP_TRACKER_REMOVE, argument, str(self.device))

    def __enter__(self) -> Tracker:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        try:
            self.remove()
        except BlksnapError as failure:
            # Never tracked, or removed by hand inside the block: the wanted state is there.
            if failure.errno != errno.ENODATA:
                raise

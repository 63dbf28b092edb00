# SPDX-License-Identifier: MIT
"""Control: the module as a whole - its version, trackers and snapshots."""

from __future__ import annotations

import ctypes
import errno
import os
import uuid
from collections.abc import Iterable
from types import TracebackType
from typing import Optional, Union

from . import abi
from .device import Device, DeviceLike
from .errors import BlksnapError, expect_type
from .names import NAMES
from .node import Node
from .results import TrackerInfo, Version
from .snapshot import Snapshot
from .tracker import Tracker

# Another process may add trackers or snapshots between asking for the count and for the list.
_ATTEMPTS = 16


class Control:
    """The blksnap module through its control node. A context manager; threads may share it.

    with Control() as control:
        with control.create_snapshot(["/dev/vdb"]) as snapshot:
            snapshot.append_file("/var/diff", size=1 << 30)
            snapshot.take()
            ...

    Snapshots and trackers are used through it, so not after it is closed (EBADF). While it is open
    the module cannot be unloaded. A program that is started does not inherit it.

    path: the control node; for another build's see names.py, as images have other names then too.
    BlksnapError: ENOENT the module is not loaded; EACCES.
    """

    def __init__(self, path: str = NAMES.node) -> None:
        self.node = Node(path)

    def version(self) -> Version:
        """IOCTL_BLK_SNAP_VERSION: the version of the module. Needs no privilege."""
        argument = abi.blk_snap_version()
        self.node.ioctl(abi.IOCTL_BLK_SNAP_VERSION, argument)
        return Version(argument.major, argument.minor, argument.revision, argument.build)

    def trackers(self) -> list[TrackerInfo]:
        """IOCTL_BLK_SNAP_TRACKER_COLLECT: all tracked devices, in the order tracking began."""
        argument = abi.blk_snap_tracker_collect()
        for _ in range(_ATTEMPTS):
            argument.count, argument.cbt_info_array = 0, None
            self.node.ioctl(abi.IOCTL_BLK_SNAP_TRACKER_COLLECT, argument)
            if argument.count == 0:
                return []
            array = (abi.blk_snap_cbt_info * argument.count)()
            argument.cbt_info_array = ctypes.addressof(array)
            try:
                self.node.ioctl(abi.IOCTL_BLK_SNAP_TRACKER_COLLECT, argument)
            except BlksnapError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                continue
            return [TrackerInfo.from_abi(array[place]) for place in range(argument.count)]
        raise BlksnapError("tracker_collect", errno.ENOBUFS)

    def tracker(self, device: DeviceLike) -> Tracker:
        """The tracker of a device. No call is made; tracking begins with a snapshot of it.

        OSError, ValueError: as from Device.of().
        """
        return Tracker(self.node, Device.of(device), self.trackers)

    def snapshots(self) -> list[uuid.UUID]:
        """IOCTL_BLK_SNAP_SNAPSHOT_COLLECT: the ids of all snapshots, created or taken."""
        argument = abi.blk_snap_snapshot_collect()
        for _ in range(_ATTEMPTS):
            argument.count, argument.ids = 0, None
            self.node.ioctl(abi.IOCTL_BLK_SNAP_SNAPSHOT_COLLECT, argument)
            if argument.count == 0:
                return []
            array = (ctypes.c_uint8 * 16 * argument.count)()
            argument.ids = ctypes.addressof(array)
            try:
                self.node.ioctl(abi.IOCTL_BLK_SNAP_SNAPSHOT_COLLECT, argument)
            except BlksnapError as error:
                if error.errno != errno.ENODATA:
                    raise
                continue
            return [uuid.UUID(bytes=bytes(array[place])) for place in range(argument.count)]
        raise BlksnapError("snapshot_collect", errno.ENODATA)

    def snapshot(self, snapshot_id: Union[uuid.UUID, str]) -> Snapshot:
        """An existing snapshot by its id, e.g. one that another process made. No call is made.

        ValueError if the id is no UUID.
        """
        return Snapshot(self.node, as_uuid(snapshot_id))

    def create_snapshot(self, devices: Iterable[DeviceLike]) -> Snapshot:
        """IOCTL_BLK_SNAP_SNAPSHOT_CREATE: a new snapshot, its devices tracked from now on.

        It is not taken yet. As a context manager it is destroyed at the end of the block.
        BlksnapError: EINVAL a device named twice; EALREADY another snapshot holds one;
        EOPNOTSUPP a device that is refused; ENXIO no such device. OSError, ValueError: as from
        Device.of(). TypeError for one device instead of a list.
        """
        if isinstance(devices, (str, bytes, os.PathLike, Device)):
            raise TypeError(f"create_snapshot() takes a list of devices, not {devices!r}")
        numbers = [Device.of(device) for device in devices]
        array = (abi.blk_snap_dev_t * len(numbers))(*(number.to_abi() for number in numbers))
        argument = abi.blk_snap_snapshot_create()
        argument.count = len(numbers)
        argument.dev_id_array = ctypes.addressof(array)
        subject = " ".join(str(number) for number in numbers)
        self.node.ioctl(abi.IOCTL_BLK_SNAP_SNAPSHOT_CREATE, argument, subject)
        return Snapshot(self.node, uuid.UUID(bytes=bytes(argument.id)))

    def close(self) -> None:
        """Close the control node, when no thread uses it any more. Snapshots and trackers stay."""
        self.node.close()

    def __enter__(self) -> Control:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()


def as_uuid(snapshot_id: Union[uuid.UUID, str]) -> uuid.UUID:
    """A snapshot id, also from its text. ValueError if that is no UUID; TypeError."""
    expect_type("snapshot_id", snapshot_id, (uuid.UUID, str), "a UUID or its text")
    if isinstance(snapshot_id, uuid.UUID):
        return snapshot_id
    try:
        return uuid.UUID(snapshot_id)
    except ValueError:
        raise ValueError(f"{snapshot_id!r} is no snapshot id (a UUID)") from None

# SPDX-License-Identifier: MIT
"""Snapshot: a set of devices at one instant, its difference storage, images and events."""

from __future__ import annotations

import ctypes
import errno
import time
import uuid
from collections.abc import Iterable
from types import TracebackType
from typing import Optional

from . import abi
from .device import Device, DeviceLike, FilePath
from .errors import BlksnapError
from .fiemap import FileRanges, allocate
from .node import Node
from .results import Event, ImageInfo, SectorRange, event_from_abi, range_array

_ATTEMPTS = 16
_MAX_TIMEOUT_MS = (1 << 32) - 1


class Snapshot:
    """A snapshot by its id. As a context manager it is destroyed at the end of the block.

    Created, it holds its devices but shows nothing; append storage, then take it: from then on
    each device has an image (/dev/blksnap-image<N>) that shows what it held at that instant. It
    lives until it is destroyed, whatever becomes of this object, of the Control and of the process.
    """

    def __init__(self, node: Node, snapshot_id: uuid.UUID) -> None:
        self.id = snapshot_id
        self._node = node
        self._kept = False

    def append_storage(self, device: DeviceLike, ranges: Iterable[SectorRange]) -> None:
        """IOCTL_BLK_SNAP_SNAPSHOT_APPEND_STORAGE: give sector ranges of a device for old data.

        In sectors from the device's start, aligned to 8. Allowed before and after take. Whatever
        the ranges hold is overwritten. BlksnapError: EINVAL a range is empty, misaligned, outside
        the device or given before (none is added then); EROFS a device that can only be read;
        ESRCH no such snapshot. OSError, ValueError: as from Device.of(). ValueError: a number below
        0 or of more than 64 bits.
        """
        wanted = tuple(ranges)
        array = range_array(wanted)
        argument = abi.blk_snap_snapshot_append_storage()
        argument.id[:] = self.id.bytes
        argument.dev_id = Device.of(device).to_abi()
        argument.count = len(wanted)
        argument.ranges = ctypes.addressof(array)
        self._node.ioctl(abi.IOCTL_BLK_SNAP_SNAPSHOT_APPEND_STORAGE, argument, str(self.id))

    def append_file(self, path: FilePath, size: Optional[int] = None) -> FileRanges:
        """Give the blocks of a file: made and preallocated to `size` bytes, or as large as it is.

        size: in bytes, a multiple of 4096 (else ValueError). Returns where the file lies. What it
        holds is overwritten; it must stay as it is until the snapshot is destroyed, and is then the
        caller's to delete, as after an error. UnfitFileError if its blocks are not its own or may
        be moved: locate() says whose are. OSError from the file system: no such file, and no
        `size`; no space. Else as append_storage().
        """
        found = allocate(path, size)
        self.append_storage(found.device, found.ranges)
        return found

    def take(self) -> None:
        """IOCTL_BLK_SNAP_SNAPSHOT_TAKE: all devices switch at one instant; images appear.

        Mounted file systems are frozen around it. BlksnapError: EALREADY taken already; EFAULT no
        storage; ENODEV no devices; ENXIO a device has gone; EBUSY somebody else holds a file system
        frozen; ESRCH no such snapshot; and what freezing or opening gave. After a failure the
        snapshot is as it was before, and take may be tried again.
        """
        argument = abi.blk_snap_snapshot_take()
        argument.id[:] = self.id.bytes
        self._node.ioctl(abi.IOCTL_BLK_SNAP_SNAPSHOT_TAKE, argument, str(self.id))

    def images(self) -> list[ImageInfo]:
        """IOCTL_BLK_SNAP_SNAPSHOT_COLLECT_IMAGES: originals and images, in the order of create.

        BlksnapError: ENODEV not taken yet; ESRCH no such snapshot.
        """
        argument = abi.blk_snap_snapshot_collect_images()
        argument.id[:] = self.id.bytes
        for _ in range(_ATTEMPTS):
            argument.count, argument.image_info_array = 0, None
            self._node.ioctl(abi.IOCTL_BLK_SNAP_SNAPSHOT_COLLECT_IMAGES, argument, str(self.id))
            array = (abi.blk_snap_image_info * max(argument.count, 1))()
            argument.image_info_array = ctypes.addressof(array)
            try:
                self._node.ioctl(abi.IOCTL_BLK_SNAP_SNAPSHOT_COLLECT_IMAGES, argument, str(self.id))
            except BlksnapError as error:
                if error.errno != errno.ENODATA:
                    raise
                continue
            return [ImageInfo.from_abi(array[place]) for place in range(argument.count)]
        raise BlksnapError("snapshot_collect_images", errno.ENODATA, str(self.id))

    def wait_event(self, timeout_ms: int) -> Optional[Event]:
        """IOCTL_BLK_SNAP_SNAPSHOT_WAIT_EVENT: the oldest event, or None if none came.

        The event is removed. timeout_ms: milliseconds, 0 only looks. A signal does
        not cut the wait short unless its Python handler raises. BlksnapError: ESRCH no such
        snapshot, or destroyed while waiting. ValueError: a timeout below 0 or of more than 32 bits.
        """
        if not 0 <= timeout_ms <= _MAX_TIMEOUT_MS:
            raise ValueError(f"timeout_ms {timeout_ms} is outside 0..2**32-1")
        end = time.monotonic() + timeout_ms / 1000
        while True:
            argument = abi.blk_snap_snapshot_event()
            argument.id[:] = self.id.bytes
            argument.timeout_ms = timeout_ms
            try:
                self._node.ioctl(abi.IOCTL_BLK_SNAP_SNAPSHOT_WAIT_EVENT, argument, str(self.id))
            except BlksnapError as error:
                if error.errno == errno.ENOENT:
                    return None
                if error.errno != errno.EINTR:
                    raise
                timeout_ms = max(0, round((end - time.monotonic()) * 1000))
                continue
            return event_from_abi(argument)

    def destroy(self) -> None:
        """IOCTL_BLK_SNAP_SNAPSHOT_DESTROY: images and storage are released; trackers stay.

        Open and mounted images do not stop it: their I/O fails from then on. Waiters for events
        get ESRCH. BlksnapError: ENODEV no such snapshot.
        """
        argument = abi.blk_snap_snapshot_destroy()
        argument.id[:] = self.id.bytes
        self._node.ioctl(abi.IOCTL_BLK_SNAP_SNAPSHOT_DESTROY, argument, str(self.id))
        self._kept = True

    def keep(self) -> None:
        """Leave the snapshot alive at the end of its `with` block."""
        self._kept = True

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        if self._kept:
            return
        try:
            self.destroy()
        except BlksnapError as failed:
            # Somebody else has destroyed it: nothing is left to be done.
            if failed.errno != errno.ENODEV:
                raise

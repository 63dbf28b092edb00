# SPDX-License-Identifier: MIT
"""Errors of blksnap calls: which call failed, its errno, and what that means in words.

    OSError
     └─ BlksnapError            a command of the module failed
         ├─ CbtMapChangedError       a map was replaced while it was being read
         └─ UnfitFileError           a file's blocks cannot serve as difference storage

The meanings state the contract of the commands (rules K1..K37, guest_module/CONTRACT.md).
"""

from __future__ import annotations

import errno as codes
import os
from typing import Optional

# Of two names for a number the one that the contract has.
_ERRNO_NAMES = {**codes.errorcode, codes.EOPNOTSUPP: "EOPNOTSUPP"}
_NO_SNAPSHOT = "no snapshot has this id (destroyed already, or never created)"
_NO_DEVICE = "the device cannot be opened: there is none with this number"

_MEANINGS: dict[tuple[str, int], str] = {
    ("open", codes.ENOENT): "the control node does not exist: the blksnap module is not loaded",
    ("open", codes.EACCES): "the control node may be opened by root only",
    ("tracker_remove", codes.ENODATA): "the device is not tracked",
    ("tracker_remove", codes.EBUSY): "a snapshot, created or taken, still holds the device",
    ("tracker_remove", codes.ENOENT): "the filter is gone from the device",
    ("tracker_remove", codes.ENXIO): _NO_DEVICE,
    ("tracker_collect", codes.ENODATA): "the device is not tracked",
    ("tracker_collect", codes.ENOBUFS): "more devices are tracked than the array has room for",
    ("tracker_read_cbt_map", codes.ENODATA): "the device is not tracked",
    ("tracker_read_cbt_map", codes.EPERM): "the map can be read only while a snapshot of the "
    "device is taken (or the caller lacks CAP_SYS_ADMIN)",
    ("tracker_read_cbt_map", codes.EINVAL): "the offset lies beyond the end of the map",
    ("tracker_read_cbt_map", codes.EFAULT): "the map is flagged as wrong; the next take starts a "
    "new generation (or the buffer cannot be written)",
    ("tracker_read_cbt_map", codes.ENXIO): _NO_DEVICE,
    ("tracker_mark_dirty_blocks", codes.ENODEV): "the device is not tracked, or no image has "
    "this number",
    ("tracker_mark_dirty_blocks", codes.EINVAL): "no range, an empty range or one beyond the end "
    "of the device; nothing was marked",
    ("snapshot_create", codes.EALREADY): "another snapshot holds one of the devices, or another "
    "filter sits on it",
    ("snapshot_create", codes.EINVAL): "a device is named twice, or the count is too large",
    ("snapshot_create", codes.EOPNOTSUPP): "a device cannot be snapshotted safely (integrity "
    "profile, inline encryption, zoned, DAX only); the kernel log says which and why",
    ("snapshot_create", codes.ENXIO): _NO_DEVICE,
    ("snapshot_destroy", codes.ENODEV): _NO_SNAPSHOT,
    ("snapshot_append_storage", codes.ESRCH): _NO_SNAPSHOT,
    ("snapshot_append_storage", codes.EINVAL): "a range is empty, not aligned to 8 sectors, "
    "outside the device, overlaps storage given before, or lies on a snapshot image or on a device "
    "of zones or of blocks above 4096 bytes; none of the ranges was added",
    ("snapshot_append_storage", codes.EROFS): "the device can only be read",
    ("snapshot_append_storage", codes.ENXIO): _NO_DEVICE,
    ("snapshot_take", codes.ESRCH): _NO_SNAPSHOT,
    ("snapshot_take", codes.EALREADY): "the snapshot is taken already",
    ("snapshot_take", codes.ENODEV): "the snapshot has no devices",
    ("snapshot_take", codes.EFAULT): "the snapshot has no difference storage",
    ("snapshot_take", codes.ENXIO): "a device of the snapshot has gone",
    ("snapshot_take", codes.EBUSY): "somebody else holds a file system frozen; try again",
    ("snapshot_collect", codes.ENODATA): "there are more snapshots than the array has room for",
    ("snapshot_collect_images", codes.ESRCH): _NO_SNAPSHOT,
    ("snapshot_collect_images", codes.ENODEV): "the snapshot is not taken yet: it has no images",
    ("snapshot_collect_images", codes.ENODATA): "there are more images than the array has room for",
    ("snapshot_wait_event", codes.ENOENT): "no event within the time",
    ("snapshot_wait_event", codes.ESRCH): "the snapshot is gone; when it is destroyed, waiters "
    "are woken with this",
    ("snapshot_wait_event", codes.EINTR): "a signal interrupted the wait",
}

_GENERAL: dict[int, str] = {
    codes.EBADF: "the Control is closed",
    codes.ENOTTY: "the module does not know this command: another interface version or no "
    "blksnap node",
    codes.EFAULT: "an address handed to the module cannot be read or written; nothing was changed",
    codes.EPERM: "every command but version needs CAP_SYS_ADMIN",
    codes.ENOMEM: "the kernel has not enough memory; nothing was changed",
    codes.EINVAL: "a count is too large or a value outside its range",
}


def meaning(operation: str, errno: int) -> Optional[str]:
    """What `errno` of `operation` (e.g. "snapshot_take") says; None if that is not laid down."""
    return _MEANINGS.get((operation, errno)) or _GENERAL.get(errno)


def expect_type(name: str, value: object, kinds: tuple[type, ...], wanted: str) -> None:
    """TypeError that names the argument and what is wanted, unless it is of one of the kinds."""
    if not isinstance(value, kinds):
        raise TypeError(f"{name} is {wanted}, not {value!r}")


class BlksnapError(OSError):
    """A command of the module failed; `errno` as the kernel gave it.

    None of the classes that Python has for some errnos, PermissionError and so on: ask for `errno`.
    operation: the command, e.g. "snapshot_take". meaning: what this errno says there, in words,
    None where the contract lays nothing down.
    """

    def __init__(self, operation: str, errno: int, subject: Optional[str] = None) -> None:
        super().__init__(errno, os.strerror(errno))
        self.operation = operation
        self.subject = subject
        self.meaning = meaning(operation, errno)

    def __reduce__(self) -> tuple[object, ...]:
        assert self.errno is not None
        return BlksnapError, (self.operation, self.errno, self.subject)

    def __str__(self) -> str:
        about = f"{self.operation} {self.subject}" if self.subject else self.operation
        assert self.errno is not None
        name = _ERRNO_NAMES.get(self.errno, str(self.errno))
        return f"{about}: {name}: {self.meaning or self.strerror}"


class CbtMapChangedError(BlksnapError):
    """The map was replaced by a take while it was in use: what was read is void."""

    def __init__(self, subject: str) -> None:
        super().__init__("tracker_read_cbt_map", codes.ESTALE, subject)
        self.meaning = "the map was replaced by another take while it was in use"

    def __reduce__(self) -> tuple[object, ...]:
        return CbtMapChangedError, (self.subject,)


class UnfitFileError(BlksnapError):
    """The file's blocks cannot be handed out as sector ranges; `meaning` says why."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__("snapshot_append_storage", codes.EOPNOTSUPP, path)
        self.meaning = reason

    def __reduce__(self) -> tuple[object, ...]:
        return UnfitFileError, (self.subject, self.meaning)

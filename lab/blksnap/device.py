# SPDX-License-Identifier: MIT
"""Block devices by number: from a path, from text, and back to a path.

The module knows devices by major and minor number only; people know them by path.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Union

from . import abi
from .errors import expect_type

_NUMBERS = re.compile(r"(\d+):(\d+)")


@dataclass(frozen=True, order=True)
class Device:
    """A block device by its number (struct blk_snap_dev_t)."""

    major: int
    minor: int

    @classmethod
    def of(cls, what: DeviceLike) -> Device:
        """The device that a path, "major:minor" or a Device names.

        OSError if the path does not exist, ValueError if it is no block device, TypeError for
        anything else.
        """
        kinds = (str, bytes, os.PathLike, Device)
        expect_type("a device", what, kinds, 'a path, "MAJOR:MINOR" or a Device')
        if isinstance(what, Device):
            return what
        text = os.fsdecode(what)
        numbers = _NUMBERS.fullmatch(text)
        if numbers:
            return cls(int(numbers.group(1)), int(numbers.group(2)))
        status = os.stat(text)  # noqa: PTH116 - a device path is text here, not a place to walk
        if not stat.S_ISBLK(status.st_mode):
            raise ValueError(f"{text} is not a block device")
        return cls(os.major(status.st_rdev), os.minor(status.st_rdev))

    @classmethod
    def from_abi(cls, number: abi.blk_snap_dev_t) -> Device:
        """The device of a structure that the module filled in."""
        return cls(number.mj, number.mn)

    def to_abi(self) -> abi.blk_snap_dev_t:
        """The structure that the module takes.

        ValueError for a number that its fields cannot hold: ctypes would cut it.
        """
        if not (0 <= self.major < 1 << 32 and 0 <= self.minor < 1 << 32):
            raise ValueError(f"{self} is no device: a number of it has more than 32 bits")
        return abi.blk_snap_dev_t(self.major, self.minor)

    @property
    def path(self) -> Optional[str]:
        """The node in /dev that the kernel names for this number; None if there is no such device.

        Source: /sys/dev/block/<major>:<minor>/uevent, so it needs no udev.
        """
        try:
            uevent = Path(f"/sys/dev/block/{self}/uevent").read_text(encoding="utf-8")
        except OSError:
            return None
        for line in uevent.splitlines():
            if line.startswith("DEVNAME="):
                return "/dev/" + line[len("DEVNAME=") :]
        return None

    def __str__(self) -> str:
        return f"{self.major}:{self.minor}"


FilePath = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
DeviceLike = Union[FilePath, Device]

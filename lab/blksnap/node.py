# SPDX-License-Identifier: MIT
"""The control node and the one place where its ioctls are made and logged."""

from __future__ import annotations

import ctypes
import logging
import os
from types import TracebackType
from typing import Optional

from . import abi
from .errors import BlksnapError
from .names import NAMES
from .system import ioctl

_log = logging.getLogger(__name__)

_NAMES = {
    value: name[len("IOCTL_BLK_SNAP_") :].lower()
    for name, value in vars(abi).items()
    if name.startswith("IOCTL_BLK_SNAP_")
}


def operation_name(request: int) -> str:
    """The command of a request number, e.g. "snapshot_take"; the number in hex if unknown."""
    return _NAMES.get(request, f"{request:#010x}")


class Node:
    """An open control node (/dev/blksnap). A context manager; calls from several threads are fine.

    Opened with os.open, never open(): that one sends a tty query, and v0 of the module looks at
    the low byte of a request only and would have removed a tracker.
    """

    def __init__(self, path: str = NAMES.node) -> None:
        self.path = path
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise BlksnapError("open", error.errno or 0, path) from None

    def ioctl(self, request: int, argument: ctypes.Structure, subject: Optional[str] = None) -> int:
        """Make one call; `argument` is read and filled in. Returns what the ioctl returned (>= 0).

        BlksnapError with the errno; `subject` names the device or snapshot in its message.
        """
        name = operation_name(request)
        try:
            result = ioctl(self._fd, request, argument)
        except OSError as error:
            _log.debug("%s %s: errno %s", name, subject or "", error.errno)
            raise BlksnapError(name, error.errno or 0, subject) from None
        _log.debug("%s %s: %d", name, subject or "", result)
        return result

    def fileno(self) -> int:
        """The descriptor, for calls this library does not make."""
        return self._fd

    def close(self) -> None:
        """Close the node; what was made through it stays."""
        # Nobody finds the number of what is closed: it may be another file's by then.
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> Node:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

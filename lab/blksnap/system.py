# SPDX-License-Identifier: MIT
"""ioctl(2) and fallocate(2) by way of the C library, glibc or musl.

Not fcntl.ioctl: for an argument of more than 1024 bytes, which an event has, that one keeps the
interpreter's lock during the call, and a thread that waits for an event would stop all others.
"""

from __future__ import annotations

import ctypes
import errno
import os
from typing import Any

_LIBC = ctypes.CDLL(None, use_errno=True)
_IOCTL = _LIBC.ioctl
_IOCTL.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p)
_IOCTL.restype = ctypes.c_int


def fallocate_of(libc: Any) -> Any:
    """The one whose sizes have 64 bits everywhere: glibc has a name for it, musl no other."""
    return getattr(libc, "fallocate64", libc.fallocate)


_FALLOCATE = fallocate_of(_LIBC)
_FALLOCATE.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


def ioctl(fd: int, request: int, argument: ctypes.Structure) -> int:
    """One ioctl; `argument` is read and filled in. What it returned (>= 0), or OSError."""
    result: int = _IOCTL(fd, request, ctypes.addressof(argument))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def fallocate(fd: int, size: int, name: str) -> None:
    """fallocate(2) from a file's start; the posix_ one writes zeros where it is missing.

    OSError, also with the file's `name`.
    """
    while _FALLOCATE(fd, 0, 0, size) != 0:
        number = ctypes.get_errno()
        if number != errno.EINTR:
            raise OSError(number, f"fallocate of {size} bytes: {os.strerror(number)}", name)

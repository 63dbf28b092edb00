"""System calls that Python does not offer, through the C library."""

from __future__ import annotations

import ctypes
import fcntl
import os
from typing import Any, Optional

LIBC = ctypes.CDLL(None, use_errno=True)


def syscall(number: int, *arguments: Any) -> int:
    """syscall(2): `arguments` as C values (ints become long). OSError with its errno if it fails.

    The interpreter's lock is given up for the call, so one that blocks blocks its thread only.
    """
    values = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    LIBC.syscall.restype = ctypes.c_long
    result: int = LIBC.syscall(ctypes.c_long(number), *values)
    if result < 0:
        raise os_error(ctypes.get_errno())
    return result


def os_error(number: int, about: Optional[str] = None) -> OSError:
    """The OSError of an errno, its message led by what it is about."""
    text = os.strerror(number)
    return OSError(number, f"{about}: {text}" if about else text)


def ioctl_bytes(fd: int, request: int, data: bytes) -> bytes:
    """ioctl(2) with `data` as argument in memory; what is there afterwards."""
    buffer = bytearray(data)
    fcntl.ioctl(fd, request, buffer, True)
    return bytes(buffer)

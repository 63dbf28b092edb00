"""Any ioctl with any argument: what a well-meant client never does."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Optional

from lab.agent.block.device import opened
from lab.agent.registry import Result, operation
from lab.agent.syscalls import LIBC, os_error, syscall
from lab.blksnap.names import NAMES
from lab.errors import UsageError

_SETRESUID = 117
_LARGEST = 1 << 14
"""A request names an argument of less than so many bytes."""


@operation
def raw_ioctl(
    request: int,
    *,
    hex: Optional[str] = None,
    address: Optional[int] = None,
    node: str = NAMES.node,
    euid: Optional[int] = None,
) -> Result:
    """ioctl(node, request, argument). OSError with the errno it gives.

    The argument: bytes, or the bare number `address`. euid: the node is opened as root, the call
    is made with this effective user.
    """
    if (hex is None) == (address is None):
        raise UsageError("raw_ioctl: the argument is given by hex or by address")
    with opened(node, os.O_RDWR) as fd:
        if hex is None:
            return {"ret": _call(fd, request, ctypes.c_void_p(address), euid)}
        try:
            data = bytes.fromhex(hex)
        except ValueError:
            raise UsageError("raw_ioctl: hex is not hexadecimal") from None
        # The request may want more than it is given; what it writes must not hit the agent.
        argument = ctypes.create_string_buffer(data, max(len(data), _LARGEST))
        return {"ret": _call(fd, request, argument, euid)}


def _call(fd: int, request: int, argument: object, euid: Optional[int]) -> int:
    with _user(euid):
        result: int = LIBC.ioctl(fd, ctypes.c_ulong(request), argument)
        number = ctypes.get_errno()
    if result < 0:
        raise os_error(number, f"ioctl {request:#010x}")
    return result


@contextmanager
def _user(euid: Optional[int]) -> Iterator[None]:
    """This thread with another effective user: the bare system call changes one thread only.

    Leaving effective user 0 drops the effective capabilities; coming back restores them.
    """
    if euid is None:
        yield
        return
    syscall(_SETRESUID, -1, euid, -1)
    try:
        yield
    finally:
        syscall(_SETRESUID, -1, 0, -1)

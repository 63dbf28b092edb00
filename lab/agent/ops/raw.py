"""Any ioctl with any memory behind it: what a well-meant client never does."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import Enum
from typing import Any, Optional

from lab.agent.block.device import opened
from lab.agent.registry import Result, operation
from lab.agent.syscalls import LIBC, os_error, syscall
from lab.agent.typed import checked
from lab.blksnap.names import NAMES
from lab.errors import UsageError

_SETRESUID = 117
_PAGE = mmap.PAGESIZE
_PROT_NONE = 0
_MAX_BUFFER = 1 << 20
_SHOWN = 1 << 16


class Guard(str, Enum):
    """What is special about a piece of memory."""

    NONE = "none"
    READ_ONLY = "read_only"  # its pages cannot be written
    EDGE = "edge"  # it ends where its pages end; the next page cannot be touched
    UNMAPPED = "unmapped"  # it cannot be touched at all


class _Memory:
    """A piece of memory at an address, with its guard."""

    def __init__(self, data: bytes, guard: Guard) -> None:
        pages = -(-max(len(data), 1) // _PAGE)
        self._map = mmap.mmap(-1, (pages + 1) * _PAGE)
        self._size = len(data)
        base = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        self._start = pages * _PAGE - len(data) if guard is Guard.EDGE else 0
        self._map[self._start : self._start + len(data)] = data
        self.address = base + self._start
        self._unreadable = guard is Guard.UNMAPPED
        if guard is Guard.READ_ONLY:
            _protect(base, pages * _PAGE, mmap.PROT_READ)
        elif guard is Guard.EDGE:
            _protect(base + pages * _PAGE, _PAGE, _PROT_NONE)
        elif guard is Guard.UNMAPPED:
            _protect(base, pages * _PAGE, _PROT_NONE)

    def store(self, offset: int, value: int) -> None:
        """Put an address into it; before it is used."""
        if offset < 0 or offset + 8 > self._size:
            raise UsageError(f"raw_ioctl: an address at {offset} is outside the argument")
        place = self._start + offset
        self._map[place : place + 8] = value.to_bytes(8, "little")

    @property
    def hex(self) -> Optional[str]:
        """What it holds, at most 64 KiB; None if it cannot be read."""
        if self._unreadable:
            return None
        return self._map[self._start : self._start + min(self._size, _SHOWN)].hex()


@operation
def raw_ioctl(
    request: int,
    *,
    hex: Optional[str] = None,
    size: Optional[int] = None,
    address: Optional[int] = None,
    guard: Guard = Guard.NONE,
    buffers: Optional[list[dict[str, Any]]] = None,
    node: str = NAMES.node,
    euid: Optional[int] = None,
) -> Result:
    """ioctl(node, request, argument). OSError with the errno it gives.

    The argument: `hex` bytes, or `size` zero bytes, with `guard`; or the bare number `address`.
    buffers: more memory, each {at, hex | size, fill, guard}, its address stored in the argument at
    byte `at`. euid: the node is opened as root, the call is made with this effective user.
    """
    with ExitStack() as stack:
        fd = stack.enter_context(opened(node, os.O_RDWR))
        if address is not None:
            ret = _call(fd, request, address, euid)
            return {"ret": ret, "hex": None, "buffers": []}
        extra = [(spec["at"], _buffer(**spec)) for spec in map(_checked_buffer, buffers or [])]
        data = bytearray(_bytes(hex, size, 0))
        for at, memory in extra:
            if at < 0 or at + 8 > len(data):
                raise UsageError(f"raw_ioctl: an address at {at} is outside the argument")
            data[at : at + 8] = memory.address.to_bytes(8, "little")
        argument = _Memory(bytes(data), guard)
        ret = _call(fd, request, argument.address, euid)
        return {
            "ret": ret,
            "hex": argument.hex,
            "buffers": [memory.hex for _, memory in extra],
        }


def _call(fd: int, request: int, address: int, euid: Optional[int]) -> int:
    with _user(euid):
        result: int = LIBC.ioctl(fd, ctypes.c_ulong(request), ctypes.c_void_p(address))
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


def _checked_buffer(spec: dict[str, Any]) -> dict[str, Any]:
    return checked(_buffer, spec, "raw_ioctl: buffers")


def _buffer(
    at: int,
    hex: Optional[str] = None,
    size: Optional[int] = None,
    fill: int = 0,
    guard: Guard = Guard.NONE,
) -> _Memory:
    del at  # where its address goes; the caller's business
    return _Memory(_bytes(hex, size, fill), guard)


def _bytes(text: Optional[str], size: Optional[int], fill: int) -> bytes:
    if (text is None) == (size is None):
        raise UsageError("raw_ioctl: memory is given by hex or by size")
    if text is not None:
        try:
            return bytes.fromhex(text)
        except ValueError:
            raise UsageError("raw_ioctl: hex is not hexadecimal") from None
    assert size is not None
    if not 0 <= size <= _MAX_BUFFER or not 0 <= fill <= 255:
        raise UsageError(f"raw_ioctl: size is 0..{_MAX_BUFFER}, fill is 0..255")
    return bytes([fill]) * size


def _protect(address: int, length: int, protection: int) -> None:
    if LIBC.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(length), protection) != 0:
        raise os_error(ctypes.get_errno(), "mprotect")

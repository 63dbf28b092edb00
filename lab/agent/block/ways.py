"""Ways to write: one class for each, with one interface.

A writer asks a way for memory (`buffer`), fills it, hands it over (`submit`) and goes on; at the
end, `finish` waits and syncs. A write that fails is a Failure with the token it was submitted
with; a way never raises for it. io_uring is in lab.agent.block.uring.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
from dataclasses import dataclass
from enum import Enum
from typing import Union

from lab.agent.block.memory import Aligned
from lab.agent.syscalls import LIBC, os_error

_PAGE = mmap.PAGESIZE
_MS_SYNC = 4
_WAIT_BEFORE, _WRITE = 1, 2  # of sync_file_range()


class How(str, Enum):
    """How a write gets to the device."""

    DIRECT = "direct"  # O_DIRECT
    BUFFERED = "buffered"  # page cache, fsync at the end
    WRITTEN_BACK = "written_back"  # page cache, written back at once with nobody waiting for it
    DSYNC = "dsync"  # O_DIRECT | O_DSYNC: each write is durable (FUA) when it returns
    MMAP = "mmap"  # a shared mapping and msync
    IO_URING = "io_uring"  # O_DIRECT, several at once
    IO_URING_DSYNC = "io_uring_dsync"  # the same, each write durable (FUA) when it ends
    NOWAIT = "nowait"  # O_DIRECT with RWF_NOWAIT: EAGAIN rather than wait
    IO_URING_NOWAIT = "io_uring_nowait"  # the same through io_uring, several at once
    IO_URING_POLLED = "io_uring_polled"  # io_uring that polls for ends, with no interrupt


@dataclass(frozen=True)
class Failure:
    """The write submitted with `token` failed with `errno`."""

    token: int
    errno: int


class Way:
    """The base: one write at a time by pwrite, in the order submitted."""

    flags = os.O_WRONLY | os.O_DIRECT

    def __init__(self, fd: int, size: int) -> None:
        self.fd = fd
        self.failures: list[Failure] = []
        self._memory = Aligned(size)

    def buffer(self, size: int) -> memoryview:
        """Memory for the next write of `size` bytes; the caller releases the view."""
        return self._memory[:size]

    def submit(self, token: int, offset: int, size: int) -> None:
        """Write what is in the buffer at byte `offset`."""
        try:
            with self._memory[:size] as data:
                self.write(data, offset)
        except OSError as error:
            self.failures.append(Failure(token, error.errno or errno.EIO))

    def write(self, data: memoryview, offset: int) -> None:
        """One write call. A short one is an error: the device took only a part."""
        written = os.pwrite(self.fd, data, offset)
        if written != len(data):
            raise OSError(errno.EIO, f"only {written} of {len(data)} bytes were written")

    def finish(self, sync: bool = True) -> None:
        """Wait for all writes; `sync` flushes what is left in caches. OSError from that."""

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()


class DsyncWay(Way):
    """Every write durable when it returns."""

    flags = os.O_WRONLY | os.O_DIRECT | os.O_DSYNC


class BufferedWay(Way):
    """Through the page cache, fsync at the end."""

    flags = os.O_WRONLY

    def finish(self, sync: bool = True) -> None:
        if sync:
            os.fsync(self.fd)


class WrittenBackWay(BufferedWay):
    """Through the page cache, from which each write is sent off, but not waited for.

    Such bios lack REQ_SYNC, which all others have whose submitter waits.
    """

    def write(self, data: memoryview, offset: int) -> None:
        super().write(data, offset)
        self._sync_range(offset, len(data), _WRITE)

    def finish(self, sync: bool = True) -> None:
        self._sync_range(0, 0, _WAIT_BEFORE)
        super().finish(sync)

    def _sync_range(self, offset: int, length: int, flags: int) -> None:
        """From `offset` on; a length of 0 is all."""
        arguments = (ctypes.c_int64(offset), ctypes.c_int64(length), ctypes.c_uint(flags))
        if LIBC.sync_file_range(ctypes.c_int(self.fd), *arguments) != 0:
            raise os_error(ctypes.get_errno(), "sync_file_range")


class NowaitWay(Way):
    """RWF_NOWAIT: the write is done without waiting, or not at all with EAGAIN."""

    def write(self, data: memoryview, offset: int) -> None:
        written = os.pwritev(self.fd, [data], offset, os.RWF_NOWAIT)
        if written != len(data):
            raise OSError(errno.EAGAIN, f"only {written} of {len(data)} bytes were written")


class MmapWay(Way):
    """A shared mapping of just the pages concerned, stored into and msync'd.

    The store and msync go through the C library, which gives up the interpreter's lock: a slow
    device must not stop the other threads.
    """

    flags = os.O_RDWR

    def write(self, data: memoryview, offset: int) -> None:
        start = offset // _PAGE * _PAGE
        length = offset - start + len(data)
        # A page that cannot be read or is not there would be a SIGBUS, which ends the process.
        if len(os.pread(self.fd, length, start)) != length:
            raise OSError(errno.ENOSPC, "the range reaches beyond the end")
        with mmap.mmap(self.fd, length, offset=start) as mapped:
            base = _address(mapped)
            LIBC.memcpy(
                ctypes.c_void_p(base + offset - start),
                ctypes.c_void_p(_address(data)),
                ctypes.c_size_t(len(data)),
            )
            if LIBC.msync(ctypes.c_void_p(base), ctypes.c_size_t(length), _MS_SYNC) != 0:
                raise os_error(ctypes.get_errno(), "msync")


def _address(memory: Union[mmap.mmap, memoryview]) -> int:
    """Where writable memory lies. It must be held while the address is in use."""
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))

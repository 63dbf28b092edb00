"""Direct writes through io_uring, several in flight, with no library.

io_uring_setup(2) and io_uring_enter(2) by number, the rings as shared memory. Only this process
touches the submission tail and the completion head, both always from one thread; the system call
between a store and the kernel's look at it is the memory barrier. Linux 5.6 and later
(IORING_OP_WRITE). Source: include/uapi/linux/io_uring.h.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import struct

from lab.agent.block.ways import Failure, Way
from lab.agent.syscalls import syscall

_SETUP, _ENTER = 425, 426
_SETUP_IOPOLL = 1
_ENTER_GETEVENTS = 1
_OFF_SQ_RING, _OFF_CQ_RING, _OFF_SQES = 0, 0x800_0000, 0x1000_0000
_OP_WRITE = 23
_SQE = struct.Struct("<BBHiQQIIQ24x")
_CQE = struct.Struct("<QiI")
_WORD = struct.Struct("<I")


class _Offsets(ctypes.Structure):
    """struct io_sqring_offsets and io_cqring_offsets, which have the same shape."""

    _fields_ = (
        ("head", ctypes.c_uint32),
        ("tail", ctypes.c_uint32),
        ("ring_mask", ctypes.c_uint32),
        ("ring_entries", ctypes.c_uint32),
        ("flags_or_overflow", ctypes.c_uint32),
        ("dropped_or_cqes", ctypes.c_uint32),
        ("array_or_flags", ctypes.c_uint32),
        ("resv1", ctypes.c_uint32),
        ("resv2", ctypes.c_uint64),
    )


class _Params(ctypes.Structure):
    """struct io_uring_params."""

    _fields_ = (
        ("sq_entries", ctypes.c_uint32),
        ("cq_entries", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("sq_thread_cpu", ctypes.c_uint32),
        ("sq_thread_idle", ctypes.c_uint32),
        ("features", ctypes.c_uint32),
        ("wq_fd", ctypes.c_uint32),
        ("resv", ctypes.c_uint32 * 3),
        ("sq_off", _Offsets),
        ("cq_off", _Offsets),
    )


class Ring:
    """An io_uring for writes. OSError ENOSYS or EPERM where the kernel does not allow it.

    polled: who waits for an end asks the disk for it (IORING_SETUP_IOPOLL).
    """

    def __init__(self, entries: int, *, polled: bool = False) -> None:
        params = _Params(flags=_SETUP_IOPOLL if polled else 0)
        self._fd = syscall(_SETUP, entries, ctypes.byref(params))
        try:
            self._map(params)
        except OSError:
            os.close(self._fd)
            raise

    def _map(self, params: _Params) -> None:
        self._sq, self._cq = params.sq_off, params.cq_off
        sq_size = self._sq.array_or_flags + params.sq_entries * _WORD.size
        cq_size = self._cq.dropped_or_cqes + params.cq_entries * _CQE.size
        self._sq_ring = mmap.mmap(self._fd, sq_size, offset=_OFF_SQ_RING)
        self._cq_ring = mmap.mmap(self._fd, cq_size, offset=_OFF_CQ_RING)
        self._sqes = mmap.mmap(self._fd, params.sq_entries * 64, offset=_OFF_SQES)
        self._sq_mask = params.sq_entries - 1
        self._cq_mask = params.cq_entries - 1

    def write(
        self, fd: int, address: int, size: int, offset: int, token: int, *, flags: int = 0
    ) -> None:
        """Submit one write of memory at `address` with RWF_ flags; its completion has `token`."""
        tail = self._get(self._sq_ring, self._sq.tail)
        slot = tail & self._sq_mask
        entry = _SQE.pack(_OP_WRITE, 0, 0, fd, offset, address, size, flags, token)
        self._sqes[slot * 64 : slot * 64 + 64] = entry
        _WORD.pack_into(self._sq_ring, self._sq.array_or_flags + slot * _WORD.size, slot)
        _WORD.pack_into(self._sq_ring, self._sq.tail, (tail + 1) & 0xFFFF_FFFF)
        self._enter(submit=1, wait=0)

    def completions(self, at_least: int) -> list[tuple[int, int]]:
        """(token, result) of finished writes, after waiting for that many."""
        found = self._reap()
        while len(found) < at_least:
            self._enter(submit=0, wait=1)
            found += self._reap()
        return found

    def _reap(self) -> list[tuple[int, int]]:
        head = self._get(self._cq_ring, self._cq.head)
        tail = self._get(self._cq_ring, self._cq.tail)
        found = []
        while head != tail:
            place = self._cq.dropped_or_cqes + (head & self._cq_mask) * _CQE.size
            token, result, _ = _CQE.unpack_from(self._cq_ring, place)
            found.append((token, result))
            head = (head + 1) & 0xFFFF_FFFF
        _WORD.pack_into(self._cq_ring, self._cq.head, head)
        return found

    def _enter(self, submit: int, wait: int) -> None:
        flags = _ENTER_GETEVENTS if wait else 0
        while True:
            try:
                syscall(_ENTER, self._fd, submit, wait, flags, None, 0)
                return
            except InterruptedError:
                continue

    @staticmethod
    def _get(ring: mmap.mmap, place: int) -> int:
        value: int = _WORD.unpack_from(ring, place)[0]
        return value

    def close(self) -> None:
        """Close the ring; nothing may be in flight."""
        self._sqes.close()
        self._cq_ring.close()
        self._sq_ring.close()
        os.close(self._fd)


class UringWay(Way):
    """Direct writes with up to `depth` in flight, each with memory of its own."""

    write_flags = 0
    polled = False

    def __init__(self, fd: int, size: int, depth: int = 8) -> None:
        super().__init__(fd, size * depth)
        self._size = size
        self._ring = Ring(depth, polled=self.polled)
        with self._memory[:] as whole:
            self._address = ctypes.addressof(ctypes.c_char.from_buffer(whole))
        self._free = list(range(depth))
        self._flying: dict[int, tuple[int, int]] = {}  # slot: (token, size)
        self._slot = -1

    def buffer(self, size: int) -> memoryview:
        while not self._free:
            self._settle(1)
        self._slot = self._free.pop()
        start = self._slot * self._size
        return self._memory[start : start + size]

    def submit(self, token: int, offset: int, size: int) -> None:
        slot = self._slot
        self._flying[slot] = (token, size)
        address = self._address + slot * self._size
        self._ring.write(self.fd, address, size, offset, slot, flags=self.write_flags)

    def finish(self, sync: bool = True) -> None:
        while self._flying:
            self._settle(1)

    def _settle(self, at_least: int) -> None:
        for slot, result in self._ring.completions(at_least):
            if slot not in self._flying:
                raise OSError(errno.EPROTO, f"a write ended twice, the second time with {result}")
            token, size = self._flying.pop(slot)
            self._free.append(slot)
            if result != size:
                self.failures.append(Failure(token, -result if result < 0 else errno.EIO))

    def close(self) -> None:
        self._ring.close()
        super().close()


class UringDsyncWay(UringWay):
    """The same, each durable when it ends: by FUA alone, no flush follows as for pwrite(2)."""

    write_flags = os.RWF_DSYNC


class UringNowaitWay(UringWay):
    """The same, each with RWF_NOWAIT, so that none is handed to a worker that would wait."""

    write_flags = os.RWF_NOWAIT


class UringPolledWay(UringWay):
    """The same, each end polled for, where the disk can do that."""

    polled = True

"""A network block device, with its server: a process in the guest that keeps the data in memory.

Source of the protocol: the kernel's include/uapi/linux/nbd.h; requests and replies are big-endian.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import struct
import sys
from pathlib import Path
from typing import Callable

from lab.agent.processes import need
from lab.agent.stacks.base import Stack, sectors, stack_kind, undone, wait_node, wait_size
from lab.errors import UsageError

_SET_SOCK, _SET_BLKSIZE, _DO_IT, _CLEAR_SOCK = 0xAB00, 0xAB01, 0xAB03, 0xAB04
_SET_SIZE_BLOCKS, _DISCONNECT, _SET_FLAGS = 0xAB07, 0xAB08, 0xAB0A
_REQUEST, _REPLY = struct.Struct(">IIQQI"), struct.Struct(">IIQ")
_REQUEST_MAGIC, _REPLY_MAGIC = 0x25609513, 0x67446698
_READ, _WRITE, _END, _FLUSH, _TRIM = range(5)
_HAS_FLAGS, _SEND_FLUSH, _SEND_FUA, _SEND_TRIM = 1, 4, 8, 32
_BLOCK = 512
_NODES = 8


@stack_kind("nbd")
class Nbd(Stack):
    """A network block device of `size` bytes; its server goes with it, and so does the data."""

    def __init__(self, name: str, size: int) -> None:
        super().__init__(name)
        if sectors("nbd: size", size) == 0:
            raise UsageError("nbd: size is not 0")
        self._size = size
        self._server = self._client = 0

    def create(self) -> None:
        if not Path("/sys/module/nbd").exists():
            need(["modprobe", "nbd", f"nbds_max={_NODES}"])
        free = (n for n in range(_NODES) if not Path(f"/sys/block/nbd{n}/pid").exists())
        self.path = f"/dev/nbd{next(free)}"
        wait_node(self.path)
        ours, theirs = socket.socketpair()
        with ours, theirs, undone(self._end):
            self._server = _forked(lambda: serve(theirs, self._size), ours)
            self._client = _forked(lambda: _attach(self.path, ours, self._size), theirs)
            name = Path(self.path).name
            wait_node(f"/sys/block/{name}/pid")
            wait_size(name)  # which the kernel sets a moment later

    def remove(self) -> None:
        fd = os.open(self.path, os.O_RDWR | os.O_EXCL)
        try:
            fcntl.ioctl(fd, _DISCONNECT)
            # Then the kernel takes it for another medium, as after nbd-client -d.
            fcntl.ioctl(fd, _CLEAR_SOCK)
        finally:
            os.close(fd)
        os.waitpid(self._client, 0)
        self._client = 0
        self._end()

    def _end(self) -> None:
        for pid in filter(None, (self._client, self._server)):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self._client = self._server = 0


def serve(connection: socket.socket, size: int) -> None:
    """Answer requests until the other side is gone; all data is zeros at first."""
    data = bytearray(size)
    with connection.makefile("rwb") as stream:
        while len(head := stream.read(_REQUEST.size)) == _REQUEST.size:
            magic, command, handle, start, length = _REQUEST.unpack(head)
            if magic != _REQUEST_MAGIC or command & 0xFFFF == _END:
                return
            answer = _serve_one(stream.read, data, command & 0xFFFF, start, length)
            stream.write(_REPLY.pack(_REPLY_MAGIC, 0, handle))
            stream.write(answer)
            stream.flush()


def _serve_one(
    read: Callable[[int], bytes], data: bytearray, command: int, start: int, length: int
) -> memoryview:
    if command == _READ:
        return memoryview(data)[start : start + length]
    if command == _WRITE:
        data[start : start + length] = read(length)
    elif command == _TRIM:
        data[start : start + length] = bytes(length)
    return memoryview(b"")


def _attach(path: str, connection: socket.socket, size: int) -> None:
    """Give the kernel the connection; returns when the device is disconnected."""
    fd = os.open(path, os.O_RDWR)
    fcntl.ioctl(fd, _CLEAR_SOCK)
    fcntl.ioctl(fd, _SET_BLKSIZE, _BLOCK)
    fcntl.ioctl(fd, _SET_SIZE_BLOCKS, size // _BLOCK)
    fcntl.ioctl(fd, _SET_FLAGS, _HAS_FLAGS | _SEND_FLUSH | _SEND_FUA | _SEND_TRIM)
    fcntl.ioctl(fd, _SET_SOCK, connection.fileno())
    fcntl.ioctl(fd, _DO_IT)


def _forked(work: Callable[[], None], other: socket.socket) -> int:
    """Do it in a process of its own, which has not the other end of the line; its pid."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        other.close()
        work()
        status = 0
    except BaseException as error:
        print(f"nbd: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(status)

"""A server for one disk over a socket, in the protocol of network block devices (NBD).

QEMU is its client. Baseline of the protocol only: fixed newstyle negotiation with NBD_OPT_GO,
simple replies. Source: doc/proto.md of the NBD project.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
import threading
from pathlib import Path
from typing import Self

from lab.tap.record import Op, Tap
from lab.units import SECTOR

_GREETING = struct.Struct(">8sQH")
_OPTION = struct.Struct(">QII")
_OPTION_REPLY = struct.Struct(">QIII")
_INFO_EXPORT = struct.Struct(">HQH")
_INFO_SIZES = struct.Struct(">HIII")
_REQUEST = struct.Struct(">IHHQQI")
_REPLY = struct.Struct(">IIQ")
_MAGIC, _HAVE_OPTION, _REPLY_OPTION = b"NBDMAGIC", 0x49484156454F5054, 0x3E889045565A9
_REQUEST_MAGIC, _REPLY_MAGIC = 0x25609513, 0x67446698
_FIXED_NEWSTYLE = 1
_OPT_ABORT, _OPT_INFO, _OPT_GO = 2, 6, 7
_REP_ACK, _REP_INFO, _REP_UNSUPPORTED = 1, 3, 0x80000001
_INFO_EXPORT_TYPE, _INFO_SIZES_TYPE = 0, 3
_HAS_FLAGS, _SEND_FLUSH, _SEND_FUA, _SEND_TRIM, _SEND_ZEROES = 1, 4, 8, 32, 64
_FLAGS = _HAS_FLAGS | _SEND_FLUSH | _SEND_FUA | _SEND_TRIM | _SEND_ZEROES
_LARGEST = 32 << 20
_DISCONNECT = 2
_OPS = {0: Op.READ, 1: Op.WRITE, 3: Op.FLUSH, 4: Op.DISCARD, 6: Op.ZEROES}


class DiskServer:
    """Serves a file as one disk to one client after the other; a context manager.

    The file is opened when the client comes, so it may be made later. Faults are EIO.
    """

    def __init__(self, name: str, file: Path, socket_path: Path, tap: Tap) -> None:
        self._name, self._file, self._tap = name, file, tap
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(socket_path))
        self._listener.listen()
        self._client: socket.socket | None = None
        self._ending = False
        self._thread = threading.Thread(target=self._serve, name=f"disk-{name}", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._ending = True
        for one in (self._listener, self._client):
            if one is not None:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while not self._ending:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._client = client
            with client, contextlib.suppress(OSError, EOFError):
                fd = os.open(self._file, os.O_RDWR | os.O_CLOEXEC)
                try:
                    if self._negotiate(client, os.fstat(fd).st_size):
                        self._answer_all(client, fd)
                finally:
                    os.close(fd)
            self._client = None

    def _negotiate(self, client: socket.socket, size: int) -> bool:
        """Until the client wants the disk; False if it goes away instead."""
        client.sendall(_GREETING.pack(_MAGIC, _HAVE_OPTION, _FIXED_NEWSTYLE))
        _receive(client, 4)
        while True:
            _, option, length = _OPTION.unpack(_receive(client, _OPTION.size))
            _receive(client, length)
            if option not in (_OPT_GO, _OPT_INFO):
                kind = _REP_ACK if option == _OPT_ABORT else _REP_UNSUPPORTED
                client.sendall(_OPTION_REPLY.pack(_REPLY_OPTION, option, kind, 0))
                if option == _OPT_ABORT:
                    return False
                continue
            export = _INFO_EXPORT.pack(_INFO_EXPORT_TYPE, size, _FLAGS)
            sizes = _INFO_SIZES.pack(_INFO_SIZES_TYPE, SECTOR, 4096, _LARGEST)
            for info in (export, sizes):
                head = _OPTION_REPLY.pack(_REPLY_OPTION, option, _REP_INFO, len(info))
                client.sendall(head + info)
            client.sendall(_OPTION_REPLY.pack(_REPLY_OPTION, option, _REP_ACK, 0))
            if option == _OPT_GO:
                return True

    def _answer_all(self, client: socket.socket, fd: int) -> None:
        while True:
            magic, _, kind, handle, offset, length = _REQUEST.unpack(
                _receive(client, _REQUEST.size)
            )
            if magic != _REQUEST_MAGIC or kind == _DISCONNECT:
                return
            op = _OPS.get(kind)
            data = _receive(client, length) if op is Op.WRITE else b""
            try:
                number, answer = self._do(fd, op, offset, length, data)
            except OSError as error:
                self._tap.host_fault = (
                    f"the host could not {op} the guest's disk {self._name}: {error}; see that"
                    f" {self._file.parent} has room, and run it again"
                )
                raise
            client.sendall(_REPLY.pack(_REPLY_MAGIC, number, handle) + answer)

    def _do(
        self, fd: int, op: Op | None, offset: int, length: int, data: bytes
    ) -> tuple[int, bytes]:
        """The errno (0: none) and what was read."""
        if op is None or offset + length > os.fstat(fd).st_size:
            return errno.EINVAL, b""
        if self._tap.fails(self._name, op, offset // SECTOR, length // SECTOR):
            return errno.EIO, b""
        if op is Op.READ:
            return 0, os.pread(fd, length, offset)
        if op is Op.WRITE:
            _write(fd, data, offset)
        elif op in (Op.DISCARD, Op.ZEROES):
            _write(fd, bytes(length), offset)
        return 0, b""


def _write(fd: int, data: bytes, offset: int) -> None:
    """All of it; a full disk takes a part first, and fails at the next try."""
    left = memoryview(data)
    while left:
        done = os.pwrite(fd, left, offset)
        left, offset = left[done:], offset + done


def _receive(client: socket.socket, size: int) -> bytes:
    """Exactly so many bytes. EOFError if the client has gone."""
    parts = []
    while size:
        part = client.recv(size)
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)

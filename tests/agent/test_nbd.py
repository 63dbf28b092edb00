"""The server of a network block device, asked as the kernel asks it."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from lab.agent.stacks.nbd import serve

READ, WRITE, END, FLUSH, TRIM = range(5)
FUA = 1 << 16


@pytest.fixture
def line() -> Iterator[socket.socket]:
    ours, theirs = socket.socketpair()
    server = threading.Thread(target=serve, args=(theirs, 4096))
    server.start()
    yield ours
    ours.close()
    server.join(10)
    assert not server.is_alive(), "it goes when the other side has gone"
    theirs.close()


def ask(line: socket.socket, command: int, start: int, length: int, data: bytes = b"") -> bytes:
    line.sendall(struct.pack(">IIQQI", 0x25609513, command, 77, start, length) + data)
    wanted = 16 + (length if command == READ else 0)
    answer = b""
    while len(answer) < wanted:
        answer += line.recv(wanted - len(answer))
    assert struct.unpack(">IIQ", answer[:16]) == (0x67446698, 0, 77)
    return answer[16:]


def test_it_keeps_what_is_written(line: socket.socket) -> None:
    assert ask(line, READ, 0, 4096) == bytes(4096)
    ask(line, WRITE, 512, 1024, b"x" * 1024)
    ask(line, WRITE | FUA, 3584, 512, b"y" * 512)
    ask(line, FLUSH, 0, 0)
    assert ask(line, READ, 0, 2048) == bytes(512) + b"x" * 1024 + bytes(512)
    assert ask(line, READ, 3584, 512) == b"y" * 512


def test_what_is_discarded_is_zeros(line: socket.socket) -> None:
    ask(line, WRITE, 0, 1024, b"x" * 1024)
    ask(line, TRIM, 512, 512)
    assert ask(line, READ, 0, 1024) == b"x" * 512 + bytes(512)


def test_it_ends_when_it_is_told_to() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(struct.pack(">IIQQI", 0x25609513, END, 1, 0, 0))
        serve(theirs, 4096)

"""The agent's end of the virtio-serial port, or of a connection: lines in, lines out.

How the guest's driver behaves (drivers/char/virtio_console.c): while no host is connected a read
returns 0 at once and poll says POLLHUP for ever, and a blocking write waits for ever. So the port
is non-blocking, and waiting is edge-triggered: the driver wakes its waiters when the host comes,
goes or sends, and between those edges nothing runs. Each edge wakes only one of the threads that
wait, the one that waited last: so who does what is asked for need not be woken by another thread.
An answer to a host that has gone is dropped.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Optional, Union

MAX_LINE = 1 << 20
_READ = 1 << 16
# Not needed if every edge arrives; a driver that loses one costs a second and not the guest.
_RECHECK_S = 1.0
_SEND_LIMIT_S = 60.0
_REOPEN_S = 0.1


class LineTooLong(str):
    """Stands in for a line over MAX_LINE bytes, which was thrown away; says so."""

    __slots__ = ()


Line = Union[bytes, LineTooLong]


class PortGone(OSError):  # noqa: N818
    """The port itself disappeared (unplugged); open it anew."""


class Port:
    """An open port. Any thread may receive lines, any may send one.

    ends: whether end of file ends it (a socket), or only means that no host is there now.
    """

    def __init__(self, fd: int, ends: bool = False) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self._ends = ends
        self._sending = threading.Lock()
        self._torn = False
        self._receiving = threading.Lock()
        self._partial = bytearray()
        self._overlong = False
        self._ended = False
        self._waiter = select.epoll()
        self._waiter.register(fd, select.EPOLLIN | select.EPOLLHUP | select.EPOLLET)

    def receive(self) -> Optional[list[Line]]:
        """Wait for the next lines, at least one, without their ends; None when the port has ended.

        Each line goes to one of the threads that wait. PortGone if the device disappears.
        """
        while True:
            with self._receiving:
                lines = self._arrived()
                if lines or self._ended:
                    return lines or None
            self._waiter.poll(_RECHECK_S)

    def _arrived(self) -> list[Line]:
        """All that there is to read, whole lines of it: the rest of an edge wakes nobody again."""
        lines: list[Line] = []
        while not self._ended and (data := self._read()) is not None:
            if data:
                lines += self._split(data)
                continue
            # The host has gone: what it did not finish will never be finished.
            self._partial.clear()
            self._overlong = False
            self._ended = self._ends
            break
        return lines

    def _split(self, data: bytes) -> list[Line]:
        """The lines that end with this data; what follows them is kept."""
        lines: list[Line] = []
        self._partial += data
        if b"\n" in data:
            *whole, rest = bytes(self._partial).split(b"\n")
            self._partial = bytearray(rest)
            for line in whole:
                if self._overlong or len(line) > MAX_LINE:
                    lines.append(
                        LineTooLong(f"a request line over {MAX_LINE} bytes was thrown away")
                    )
                else:
                    lines.append(line)
                self._overlong = False
        if len(self._partial) > MAX_LINE:
            self._partial.clear()
            self._overlong = True
        return lines

    def send(self, line: bytes) -> bool:
        """Write a whole line, its end included; False if the host has gone or does not read."""
        with self._sending:
            left = memoryview(b"\n" + line if self._torn else line)
            end = time.monotonic() + _SEND_LIMIT_S
            whole = len(left)
            while left:
                try:
                    left = left[os.write(self._fd, left) :]
                except BlockingIOError:
                    if not self._wait_writable(end):
                        break
                except OSError:
                    break
            if len(left) < whole:
                self._torn = bool(left)
            return not left

    def _wait_writable(self, end: float) -> bool:
        left = end - time.monotonic()
        if left <= 0:
            return False
        poller = select.poll()
        poller.register(self._fd, select.POLLOUT)
        ready = poller.poll(min(left, _RECHECK_S) * 1000)
        return not any(event & (select.POLLHUP | select.POLLERR) for _, event in ready)

    def _read(self) -> Optional[bytes]:
        """What has come; b"" without a host; None if nothing has come yet."""
        try:
            return os.read(self._fd, _READ)
        except BlockingIOError:
            return None
        except ConnectionResetError:
            return b""
        except OSError as error:
            raise PortGone(error.errno, f"the port is gone: {error.strerror}") from error

    def close(self) -> None:
        """Close it; threads still sending get an error, which they ignore.

        Threads that wait end within a second; the last of them gives up what they wait with.
        """
        with self._sending, self._receiving:
            self._ended = True
            os.close(self._fd)
            self._fd = -1  # The number will be another file's soon; late answers must not hit it.

    def __enter__(self) -> Port:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()


def open_port(where: str) -> Port:
    """Open "fd:N", a descriptor that was inherited (for pipes and tests), "tcp:N", the connection
    that the host makes to this port (see lab.replay), or a port's path.

    Waits until the port is there and free: the driver may still be looking for it, and a device
    may have only one user.
    """
    if where.startswith("fd:"):
        return Port(int(where[3:]), ends=True)
    while True:
        try:
            if where.startswith("tcp:"):
                return Port(_await_host(int(where[4:])), ends=True)
            return Port(os.open(_node(where), os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY))
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENXIO, errno.EBUSY, errno.ENODEV):
                raise
        time.sleep(_REOPEN_S)


def _await_host(number: int) -> int:
    """The first connection to a TCP port, as a descriptor. OSError until the guest has networks."""
    with socket.create_server(("", number)) as server:
        connection = server.accept()[0]
    # Answers are single lines: none has to wait for the next.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection.detach()


def _node(path: str) -> str:
    """The node itself: without udev nobody makes the link /dev/virtio-ports/<name>."""
    given = Path(path)
    if given.exists():
        return path
    for entry in Path("/sys/class/virtio-ports").glob("*/name"):
        if entry.read_text(encoding="utf-8").strip() == given.name:
            return f"/dev/{entry.parent.name}"
    return path

"""QEMU's monitor for code that is not asynchronous: commands with a limit, and a queue of events.

LabError
 └─ QmpError            the monitor refused a command, or did not answer in time
"""

import asyncio
import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from qemu.qmp import EventListener, ExecuteError, Message, QMPClient, QMPError, Runstate

from lab.errors import LabError
from lab.guest.loop import wait_for

# It reports what we raise anyway; without a handler that would go to standard error.
logging.getLogger("qemu.qmp").addHandler(logging.NullHandler())

COMMAND_LIMIT = 60.0
CLOSE_LIMIT = 2.0
DRAIN_LIMIT = 1.0
DRAIN_PAUSE = 0.002


class QmpError(LabError):
    """A QMP command failed or got no answer."""


@dataclass(frozen=True)
class QmpEvent:
    """An event of QEMU: its name, e.g. DEVICE_DELETED, and its data."""

    name: str
    data: Mapping[str, Any]


class EventQueue:
    """Events in the order they came. One that nobody waits for is kept until somebody asks."""

    def __init__(self) -> None:
        self._events: list[QmpEvent] = []
        self._changed = threading.Condition()
        self._closed = False

    def put(self, event: QmpEvent) -> None:
        """Add an event and wake those who wait."""
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()

    def close(self) -> None:
        """No more events will come: whoever waits for one that is not there gives up."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def take(
        self,
        name: str,
        match: Callable[[Mapping[str, Any]], bool] = lambda _data: True,
        timeout: float = 0.0,
    ) -> QmpEvent | None:
        """Remove and return the oldest event that fits; wait up to `timeout` seconds for one."""
        limit = time.monotonic() + timeout
        with self._changed:
            while True:
                for index, event in enumerate(self._events):
                    if event.name == name and match(event.data):
                        return self._events.pop(index)
                left = limit - time.monotonic()
                if self._closed or left <= 0:
                    return None
                self._changed.wait(left)

    def pending(self) -> tuple[QmpEvent, ...]:
        """The events that nobody has taken."""
        with self._changed:
            return tuple(self._events)


class Qmp:
    """A session with QEMU's monitor over a connected socket."""

    def __init__(self, name: str, on_event: Callable[[QmpEvent], None] | None = None) -> None:
        self._client = QMPClient(name)
        self._on_event = on_event
        self._listener = EventListener()
        self._pump: asyncio.Task[None] | None = None
        self.events = EventQueue()

    def connect(self, connection: socket.socket, timeout: float) -> None:
        """Greet the monitor. QmpError if it does not answer; then QEMU has probably ended."""
        try:
            wait_for(self._connect(connection), timeout)
        except (QMPError, OSError, TimeoutError) as error:
            raise QmpError(f"QEMU's monitor does not answer: {error}") from error

    def execute(
        self, command: str, arguments: Mapping[str, object] | None = None, *, timeout: float
    ) -> Any:
        """Run a command and return its result; QmpError if it is refused or takes too long."""
        try:
            return wait_for(self._client.execute(command, dict(arguments or {})), timeout)
        except ExecuteError as error:
            raise QmpError(f"QEMU refused {command} {dict(arguments or {})}: {error}") from error
        except TimeoutError as error:
            raise QmpError(f"QEMU did not answer {command} within {timeout:g} s") from error
        except (QMPError, OSError) as error:
            raise QmpError(f"QEMU's monitor was closed during {command}") from error

    def send_descriptor(self, name: str, descriptor: int, *, timeout: float) -> None:
        """Give QEMU a copy of an open descriptor, which its commands then call "fd:<name>"."""

        async def send() -> None:
            self._client.send_fd_scm(descriptor)
            await self._client.execute("getfd", {"fdname": name})

        try:
            wait_for(send(), timeout)
        except (QMPError, OSError, TimeoutError) as error:
            raise QmpError(f"QEMU did not take a descriptor: {error}") from error

    def close(self) -> None:
        """End the session; safe to call at any time and more than once."""
        with contextlib.suppress(Exception):
            wait_for(self._close(), CLOSE_LIMIT)
        self.events.close()

    async def drain(self) -> None:
        """After QEMU has ended: deliver the events that it had sent. Runs in the QEMU thread."""
        limit = time.monotonic() + DRAIN_LIMIT
        while time.monotonic() < limit:
            if self._client.runstate is not Runstate.RUNNING and self._listener.empty():
                return
            await asyncio.sleep(DRAIN_PAUSE)

    async def _connect(self, connection: socket.socket) -> None:
        self._client.register_listener(self._listener)
        await self._client.connect(connection)
        self._pump = asyncio.create_task(self._forward())

    async def _forward(self) -> None:
        async for message in self._listener:
            self._deliver(message)

    def _deliver(self, message: Message) -> None:
        data = message.get("data", {})
        event = QmpEvent(str(message["event"]), data if isinstance(data, dict) else {})
        if self._on_event is not None:
            self._on_event(event)
        self.events.put(event)

    async def _close(self) -> None:
        if self._pump is not None:
            self._pump.cancel()
        await self._client.disconnect()

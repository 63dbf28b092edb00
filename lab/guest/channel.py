"""The agent's channel: requests to the agent in the guest, answers from it, one JSON line each.

Requests may be made from several threads; answers come in any order and find their request by its
number. The other end is lab/agent, which this side never imports.

    LabError
     ├─ AgentFailure       the agent says that it could not do it
     ├─ ChannelTimeout     no answer within the limit
     └─ GuestLost          there will be no answer (lab.guest.lost)
"""

import contextlib
import json
import secrets
import select
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from lab.errors import LabError
from lab.guest.lost import GuestLost

RECEIVE = 1 << 16
# Longer than any answer; a guest that sends more without an end of line talks nonsense.
MAX_LINE = 1 << 24


class AgentFailure(LabError):  # noqa: N818 - not our error but the agent's
    """The agent could not do an operation. `kind` is os, usage or internal; `errno` may be None."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        self.kind = str(error.get("kind", "internal"))
        self.errno: int | None = error.get("errno")
        self.operation = str(error.get("operation", ""))
        self.message = str(error.get("message", ""))
        self.traceback: str | None = error.get("traceback")
        where = f"{self.traceback}" if self.traceback else ""
        super().__init__(f"{self.operation}: {self.message}\n{where}".rstrip())


class ChannelTimeout(LabError):  # noqa: N818 - named as Python's own TimeoutError is meant
    """The agent did not answer in time; the guest may still live."""

    def __init__(self, op: str, timeout: float) -> None:
        super().__init__(f"the agent did not answer {op} within {timeout:g} s")
        self.op = op
        self.timeout = timeout


@dataclass
class Pending:
    """A request on its way. Wait for it once, or drop it."""

    op: str
    number: int
    _done: threading.Event = field(default_factory=threading.Event)
    _answer: dict[str, Any] | None = None
    _lost: GuestLost | None = None

    def result(self, timeout: float) -> dict[str, Any]:
        """What the agent returned. Errors as of Channel.request()."""
        if not self._done.wait(timeout):
            raise ChannelTimeout(self.op, timeout)
        if self._lost is not None:
            raise self._lost.again()
        if self._answer is None:
            raise ChannelTimeout(self.op, timeout)
        if not self._answer.get("ok"):
            raise AgentFailure(self._answer.get("error", {}))
        result = self._answer.get("result")
        return result if isinstance(result, dict) else {}

    def answered(self, answer: dict[str, Any]) -> None:
        """The answer has come."""
        self._answer = answer
        self._done.set()

    def lost(self, why: GuestLost) -> None:
        """No answer will come."""
        self._lost = why
        self._done.set()


class Channel:
    """The host's end of the agent's port, over a connected socket that it closes at the end."""

    def __init__(
        self,
        connection: socket.socket,
        explain: Callable[[], GuestLost] = lambda: GuestLost("QEMU closed the agent's port"),
    ) -> None:
        """`explain` is asked why, when the port was closed from the other end."""
        self._connection = connection
        self._explain = explain
        self._sending = threading.Lock()
        self._lock = threading.Lock()
        self._pending: dict[int, Pending] = {}
        self._next_id = 1
        self._nonce: str | None = None
        self._lost: GuestLost | None = None
        self._reader = threading.Thread(target=self._read, name="lab-channel", daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def hello(self, timeout: float) -> dict[str, Any]:
        """First contact: what the agent says of itself. Lines from before the answer are dropped.

        May be called while the guest still boots: QEMU keeps it until the agent opens the port.
        """
        self._nonce = secrets.token_hex(8)
        return self.request("hello", {"nonce": self._nonce}, timeout)

    def request(self, op: str, args: Mapping[str, object], timeout: float) -> dict[str, Any]:
        """Have the agent do an operation and return its result.

        AgentFailure if it cannot; ChannelTimeout if no answer comes within `timeout` seconds;
        GuestLost if none can come any more.
        """
        pending = self.submit(op, args, timeout)
        try:
            return pending.result(timeout)
        finally:
            with self._lock:
                self._pending.pop(pending.number, None)

    def submit(self, op: str, args: Mapping[str, object], timeout: float) -> Pending:
        """Send a request and do not wait for its answer; `timeout` is for the sending."""
        with self._lock:
            if self._lost is not None:
                raise self._lost.again()
            pending = Pending(op, self._next_id)
            self._next_id += 1
            self._pending[pending.number] = pending
        self._send({"id": pending.number, "op": op, "args": dict(args)}, op, timeout)
        return pending

    def lose(self, why: GuestLost) -> None:
        """The guest is gone: who waits gets this error, now and later. The first one counts."""
        with self._lock:
            if self._lost is None:
                self._lost = why
            waiting = list(self._pending.values())
        for one in waiting:
            one.lost(self._lost)

    def close(self) -> None:
        """Close the port; who still waits gets GuestLost."""
        self.lose(GuestLost("the lab closed the channel"))
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        self._connection.close()

    def _send(self, request: dict[str, object], op: str, timeout: float) -> None:
        left = memoryview(json.dumps(request, separators=(",", ":")).encode() + b"\n")
        limit = time.monotonic() + timeout
        writable = select.poll()
        writable.register(self._connection, select.POLLOUT)
        with self._sending:
            while left:
                try:
                    left = left[self._connection.send(left, socket.MSG_DONTWAIT) :]
                except BlockingIOError:
                    if not writable.poll(max(0.0, limit - time.monotonic()) * 1000):
                        # Half a line may be on its way: the agent takes it as nonsense, and lives.
                        raise ChannelTimeout(op, timeout) from None
                except OSError as error:
                    lost = self._lost or GuestLost(f"its port is closed ({error})")
                    raise lost.again() from error

    def _read(self) -> None:
        rest = b""
        with contextlib.suppress(OSError):
            while len(rest) <= MAX_LINE and (piece := self._connection.recv(RECEIVE)):
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    self._accept(line)
        if self._lost is None:
            self.lose(self._explain())

    def _accept(self, line: bytes) -> None:
        try:
            answer = json.loads(line)
            number = answer["id"]
        except (ValueError, TypeError, KeyError):
            return  # stale or half a line from before hello; a request without answer times out
        if self._nonce is not None:
            if (answer.get("result") or {}).get("nonce") != self._nonce:
                return
            self._nonce = None
        with self._lock:
            pending = self._pending.pop(number, None)
        if pending is not None:
            pending.answered(answer)

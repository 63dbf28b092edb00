"""Requests to threads, results and errors to answers.

Whatever a request does or is, the server goes on: the only way out of serve() is the end of the
port. The thread that receives a request does it, while another one waits for the next: so one that
waits for events never delays another, and no other thread has to be woken first.
"""

from __future__ import annotations

import errno
import json
import threading
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from lab.agent.port import Line, LineTooLong, Port
from lab.agent.registry import Operation, find
from lab.errors import LabError, UsageError

_MAX_THREADS = 512
# So many wait for requests when there is nothing to do.
_SPARE = 2

Answer = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """What is to be done. number: by which its answer is found."""

    number: object
    operation: Operation
    args: Mapping[str, Any]


class Server:
    """Answers the requests that come in over a port."""

    def __init__(self, port: Port) -> None:
        self._port = port
        self._lock = threading.Lock()
        self._threads = 0
        self._waiting = 0
        self._over = threading.Event()
        self._error: Optional[BaseException] = None

    def serve(self) -> None:
        """Answer requests until the port ends (a real one never does). PortGone if it is gone."""
        for _ in range(_SPARE):
            self._start(None)
        self._over.wait()
        if self._error is not None:
            raise self._error

    def _end(self, error: Optional[BaseException]) -> None:
        """Let serve() return, or raise this."""
        self._error = error
        self._over.set()

    def _start(self, first: Optional[Request]) -> None:
        """A thread that waits for requests, after `first`. OSError if there can be none."""
        with self._lock:
            if self._threads == _MAX_THREADS:
                raise OSError(errno.EAGAIN, f"{_MAX_THREADS} requests are being done already")
            self._threads += 1
            self._waiting += first is None
        try:
            threading.Thread(target=self._work, args=(first,), name="request", daemon=True).start()
        except Exception as error:  # The guest is out of memory.
            with self._lock:
                self._threads -= 1
                self._waiting -= first is None
            raise OSError(errno.EAGAIN, f"no thread for it: {error}") from error

    def _work(self, first: Optional[Request]) -> None:
        try:
            if first is None or self._do(first):
                while self._next():
                    pass
            with self._lock:
                self._threads -= 1
        except BaseException as error:
            # It counts as one that waits and does not: better no agent than a deaf one.
            self._end(error)

    def _next(self) -> bool:
        """Wait for requests and see to them; whether there is more to wait for."""
        lines = self._port.receive()
        if lines is None:
            self._end(None)
            return False
        requests = [request for line in lines if (request := self._accepted(line)) is not None]
        for request in requests[1:]:
            self._hand_over(request)
        if not requests:
            return True
        with self._lock:
            self._waiting -= 1
            alone = self._waiting == 0
        if alone:
            try:
                self._start(None)
            except OSError as error:
                with self._lock:
                    self._waiting += 1
                self._answer(_failure(requests[0].number, requests[0].operation.name, error))
                return True
        return self._do(requests[0])

    def _hand_over(self, request: Request) -> None:
        """Have a thread of its own do it."""
        try:
            self._start(request)
        except OSError as error:
            self._answer(_failure(request.number, request.operation.name, error))

    def _do(self, request: Request) -> bool:
        """Do it and answer; whether this thread is needed to wait for more."""
        self._answer(outcome(request))
        with self._lock:
            needed = self._waiting < _SPARE
            self._waiting += needed
        return needed

    def _accepted(self, line: Line) -> Optional[Request]:
        """The request of a line; None if it has its answer already, or needs none."""
        if isinstance(line, LineTooLong):
            self._answer(_failure(None, "request", UsageError(str(line))))
            return None
        if not line.strip():
            return None
        try:
            number, name, args = parsed(line)
        except UsageError as error:
            self._answer(_failure(None, "request", error))
            return None
        try:
            request = Request(number, find(name), args)
        except UsageError as error:
            self._answer(_failure(number, name, error))
            return None
        if request.operation.at_once:
            self._answer(outcome(request))
            return None
        return request

    def _answer(self, answer: Answer) -> None:
        try:
            line = json.dumps(answer, separators=(",", ":"))
        except (TypeError, ValueError) as error:
            line = json.dumps(_failure(answer.get("id"), "answer", error))
        self._port.send(line.encode() + b"\n")


def parsed(line: bytes) -> tuple[object, str, dict[str, Any]]:
    """id, op and args of a request line. UsageError if it is none."""
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"not a JSON request: {error}: {line[:60]!r}") from None
    if not isinstance(request, dict):
        raise UsageError("a request is a JSON object")
    name, args = request.get("op"), request.get("args", {})
    if not isinstance(name, str) or not isinstance(args, dict) or request.get("id") is None:
        raise UsageError("a request has an id, an op (a string) and args (an object)")
    return request["id"], name, args


def outcome(request: Request) -> Answer:
    """Do what is asked for and say what became of it; never raises."""
    try:
        return {"id": request.number, "ok": True, "result": request.operation.run(request.args)}
    except Exception as error:
        return _failure(request.number, request.operation.name, error)


def _failure(number: object, name: str, error: Exception) -> Answer:
    kind, errno = _classified(error)
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    described = {
        "kind": kind,
        "errno": errno,
        "operation": getattr(error, "operation", name),
        "message": str(error) or type(error).__name__,
        "traceback": trace if kind == "internal" else None,
    }
    return {"id": number, "ok": False, "error": described}


def _classified(error: Exception) -> tuple[str, Optional[int]]:
    if isinstance(error, OSError):
        return "os", error.errno
    if isinstance(error, UsageError):
        return "usage", None
    # Any other LabError is a program of the guest that failed: no errno, but no bug here either.
    return ("os", None) if isinstance(error, LabError) else ("internal", None)

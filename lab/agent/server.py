"""Requests to threads, results and errors to answers.

Whatever a request does or is, the server goes on: the only way out of serve() is the end of the
port. Each request runs in a thread of its own, from a pool that grows, so one that waits for
events never delays another; operations that cannot block are done at once.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Optional

from lab.agent.port import LineTooLong, Port
from lab.agent.registry import Operation, find
from lab.errors import LabError, UsageError

# Each thread costs address space only; requests beyond this wait for one to end.
_MAX_THREADS = 512

Answer = dict[str, Any]


class Server:
    """Answers the requests that come in over a port."""

    def __init__(self, port: Port) -> None:
        self._port = port
        self._threads = ThreadPoolExecutor(_MAX_THREADS, thread_name_prefix="request")
        # The pool starts threads one by one; the first answer of a clone should not wait for one.
        self._threads.submit(int).result()

    def serve(self) -> None:
        """Answer requests until the port ends (a real one never does)."""
        for line in self._port.lines():
            if isinstance(line, LineTooLong):
                self._answer(_failure(None, "request", UsageError(str(line))))
            elif line.strip():
                self._accept(line)

    def _accept(self, line: bytes) -> None:
        try:
            number, name, args = parsed(line)
        except UsageError as error:
            self._answer(_failure(None, "request", error))
            return
        try:
            operation = find(name)
        except UsageError as error:
            self._answer(_failure(number, name, error))
            return
        if operation.at_once:
            self._answer(outcome(number, operation, args))
            return
        try:
            self._threads.submit(self._run, number, operation, args)
        except RuntimeError as error:  # No thread can be started: the guest is out of memory.
            self._answer(_failure(number, name, error))

    def _run(self, number: object, operation: Operation, args: Mapping[str, Any]) -> None:
        self._answer(outcome(number, operation, args))

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


def outcome(number: object, operation: Operation, args: Mapping[str, Any]) -> Answer:
    """Do one operation and say what became of it; never raises."""
    try:
        return {"id": number, "ok": True, "result": operation.run(args)}
    except Exception as error:
        return _failure(number, operation.name, error)


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

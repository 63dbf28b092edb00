"""The real agent as a process, talked to over a socket pair in place of the port."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


class Agent:
    """A running agent; `ask` makes a request and waits for its answer."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        ours.settimeout(60)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lab.agent", "--port", f"fd:{theirs.fileno()}"],
            pass_fds=[theirs.fileno()],
            cwd=ROOT,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
        theirs.close()
        self.socket = ours
        self._file = ours.makefile("rb")
        self._numbers = count(1)
        self._early: dict[object, Any] = {}

    def send(self, op: str, **args: Any) -> int:
        """Send a request and do not wait; its number."""
        number = next(self._numbers)
        self.raw(json.dumps({"id": number, "op": op, "args": args}).encode() + b"\n")
        return number

    def raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def line(self) -> Any:
        """The next answer, whosever it is."""
        return json.loads(self._file.readline())

    def answer(self, number: int | None) -> Any:
        """The answer to a request."""
        while number not in self._early:
            answer = self.line()
            self._early[answer["id"]] = answer
        return self._early.pop(number)

    def ask(self, op: str, **args: Any) -> Any:
        """The result of a request, which must succeed."""
        answer = self.answer(self.send(op, **args))
        assert answer["ok"], answer
        return answer["result"]

    def fail(self, op: str, **args: Any) -> Any:
        """The error of a request, which must fail."""
        answer = self.answer(self.send(op, **args))
        assert not answer["ok"], answer
        return answer["error"]

    def close(self) -> None:
        """Hang up; the agent ends then."""
        self._file.close()
        self.socket.close()
        try:
            self.process.wait(20)
        finally:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="module")
def agent() -> Iterator[Agent]:
    """One agent for the tests of a module."""
    running = Agent()
    yield running
    running.close()


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A file of 4 MiB of zeros in place of a disk."""
    path = tmp_path / "disk"
    with path.open("wb") as file:
        file.truncate(4 << 20)
    return path


@pytest.fixture
def direct(disk: Path) -> bool:
    """Whether the file system of the test's disk takes direct I/O."""
    try:
        os.close(os.open(disk, os.O_RDONLY | os.O_DIRECT))
    except OSError:
        return False
    return True

"""Threads of the server: how many, when there are too many, and when one dies."""

from __future__ import annotations

import errno
import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab.agent.port import Port
from lab.agent.registry import OPERATIONS, Operation
from lab.agent.server import Server

OPENED = threading.Event()


def wait() -> dict[str, Any]:
    """An operation that takes until the test says so."""
    assert OPENED.wait(20)
    return {}


def ping() -> dict[str, Any]:
    """An operation that is done at once."""
    return {}


class Host:
    """The other end of the port of a server that runs in this process."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._file = connection.makefile("rb")

    def send(self, *requests: tuple[int, str]) -> None:
        """Requests by number and operation, in one piece."""
        lines = [json.dumps({"id": number, "op": op}) + "\n" for number, op in requests]
        self._connection.sendall("".join(lines).encode())

    def answers(self, count: int) -> dict[int, Any]:
        """So many answers, by number."""
        found = [json.loads(self._file.readline()) for _ in range(count)]
        return {answer["id"]: answer for answer in found}

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self._connection.close()


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], tuple[Host, threading.Thread]]]:
    """Starts a server with the operations `wait` and `ping`; its thread ends with the port."""
    monkeypatch.setitem(OPERATIONS, "wait", Operation("wait", wait))
    monkeypatch.setitem(OPERATIONS, "ping", Operation("ping", ping, at_once=True))
    OPENED.clear()
    started: list[tuple[Host, Port, threading.Thread]] = []

    def start() -> tuple[Host, threading.Thread]:
        ours, theirs = socket.socketpair()
        ours.settimeout(20)
        port = Port(theirs.detach(), ends=True)
        thread = threading.Thread(target=Server(port).serve)
        thread.start()
        started.append((Host(ours), port, thread))
        return started[-1][0], thread

    yield start
    OPENED.set()
    for host, port, thread in started:
        host.close()
        thread.join(20)
        assert not thread.is_alive()
        port.close()


def test_requests_that_come_together_are_done_together(
    serve: Callable[[], tuple[Host, threading.Thread]],
) -> None:
    host, _ = serve()
    host.send(*((number, "wait") for number in range(1, 21)), (21, "ping"))
    assert list(host.answers(1)) == [21]
    host.send((22, "ping"))
    assert list(host.answers(1)) == [22]
    OPENED.set()
    assert set(host.answers(20)) == set(range(1, 21))


def test_more_than_there_are_threads_for_are_refused_and_the_rest_is_done(
    serve: Callable[[], tuple[Host, threading.Thread]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.agent.server._MAX_THREADS", 8)
    host, _ = serve()
    host.send(*((number, "wait") for number in range(20)))
    refused = host.answers(13)  # one thread waits for more
    assert {answer["error"]["errno"] for answer in refused.values()} == {errno.EAGAIN}
    assert {answer["error"]["kind"] for answer in refused.values()} == {"os"}
    host.send((20, "ping"))
    assert host.answers(1)[20]["ok"]
    OPENED.set()
    done = host.answers(7)
    assert set(done) == set(range(20)) - set(refused)
    assert all(answer["ok"] for answer in done.values())
    host.send((21, "wait"))
    assert host.answers(1)[21]["ok"]


def test_a_thread_that_dies_ends_the_agent(
    serve: Callable[[], tuple[Host, threading.Thread]], monkeypatch: pytest.MonkeyPatch
) -> None:
    died: list[BaseException | None] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: died.append(args.exc_value))

    def nothing(self: Port) -> None:
        raise MemoryError

    monkeypatch.setattr(Port, "receive", nothing)
    _, thread = serve()
    thread.join(20)
    assert not thread.is_alive()
    assert [type(one) for one in died] == [MemoryError]

"""The port: lines in pieces, lines too long, hosts that go away."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from lab.agent.port import MAX_LINE, Line, LineTooLong, Port, PortGone


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, Port]]:
    ours, theirs = socket.socketpair()
    port = Port(os.dup(theirs.fileno()), ends=True)
    theirs.close()
    yield ours, port
    ours.close()
    port.close()


def test_lines_come_whole_however_they_were_sent(pair: tuple[socket.socket, Port]) -> None:
    ours, port = pair
    ours.sendall(b"one\ntw")
    assert port.receive() == [b"one"]
    ours.sendall(b"o\n\nthree\nfour")
    ours.shutdown(socket.SHUT_WR)
    # What has no end was never finished.
    assert port.receive() == [b"two", b"", b"three"]
    assert port.receive() is None


def test_each_line_goes_to_one_of_the_threads_that_wait(pair: tuple[socket.socket, Port]) -> None:
    ours, port = pair
    heard: list[Line] = []

    def hear() -> None:
        while (lines := port.receive()) is not None:
            heard.extend(lines)

    hearers = [threading.Thread(target=hear) for _ in range(4)]
    for hearer in hearers:
        hearer.start()
    sent = [b"line %d" % number for number in range(200)]
    for line in sent:
        ours.sendall(line + b"\n")
    ours.shutdown(socket.SHUT_WR)
    for hearer in hearers:
        hearer.join(20)
    assert sorted(heard) == sorted(sent)


def test_a_line_too_long_is_told_once_and_the_next_one_is_heard(
    pair: tuple[socket.socket, Port],
) -> None:
    ours, port = pair
    data = b"x" * (3 * MAX_LINE) + b"\nnext\n"
    sender = threading.Thread(target=ours.sendall, args=(data,))
    sender.start()
    lines: list[Line] = []
    while len(lines) < 2:
        lines += port.receive() or []
    sender.join()
    assert isinstance(lines[0], LineTooLong)
    assert lines[1] == b"next"


def test_a_line_of_the_largest_size_is_heard(pair: tuple[socket.socket, Port]) -> None:
    ours, port = pair
    line = b"y" * MAX_LINE
    sender = threading.Thread(target=ours.sendall, args=(line + b"\n",))
    sender.start()
    assert port.receive() == [line]
    sender.join()


def test_a_large_answer_arrives_though_the_host_reads_slowly(
    pair: tuple[socket.socket, Port],
) -> None:
    ours, port = pair
    line = b"z" * (4 << 20) + b"\n"
    sent: list[bool] = []
    sender = threading.Thread(target=lambda: sent.append(port.send(line)))
    sender.start()
    found = b""
    while len(found) < len(line):
        found += ours.recv(1 << 16)
    sender.join()
    assert sent == [True]
    assert found == line


def test_answers_of_several_threads_are_not_mixed(pair: tuple[socket.socket, Port]) -> None:
    ours, port = pair
    lines = [bytes([65 + n]) * 100_000 + b"\n" for n in range(8)]
    senders = [threading.Thread(target=port.send, args=(line,)) for line in lines]
    for sender in senders:
        sender.start()
    with ours.makefile("rb") as file:
        found = [file.readline() for _ in lines]
    for sender in senders:
        sender.join()
    assert sorted(found) == lines


def test_an_answer_to_a_host_that_has_gone_is_dropped(pair: tuple[socket.socket, Port]) -> None:
    ours, port = pair
    ours.close()
    assert port.send(b"late\n") is False


def test_after_a_torn_answer_the_next_one_starts_a_line(
    pair: tuple[socket.socket, Port],
) -> None:
    ours, port = pair
    port._torn = True
    assert port.send(b"whole\n")
    assert ours.recv(100) == b"\nwhole\n"
    assert port.send(b"next\n")
    assert ours.recv(100) == b"next\n"


def test_the_host_may_go_and_another_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A named pipe: like the port, it reads as ended only while nobody is at the other end."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with Port(os.open(path, os.O_RDONLY | os.O_NONBLOCK)) as port:
        first = os.open(path, os.O_WRONLY)
        os.write(first, b"hello\nhalf")
        os.close(first)
        assert port.receive() == [b"hello"]
        hosts = []

        def come(seconds: float) -> None:
            """Instead of waiting: what the agent waits for happens."""
            hosts.append(os.open(path, os.O_WRONLY))
            os.write(hosts[0], b"again\n")

        monkeypatch.setattr(port, "_waiter", SimpleNamespace(poll=come))
        assert port.receive() == [b"again"]
        os.close(hosts[0])


def test_a_host_that_comes_later_is_heard_at_once(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with Port(os.open(path, os.O_RDONLY | os.O_NONBLOCK)) as port:
        heard: list[object] = []
        reader = threading.Thread(target=lambda: heard.append(port.receive()))
        reader.start()
        host = os.open(path, os.O_WRONLY)
        os.write(host, b"hello\n")
        reader.join(20)
        os.close(host)
        assert heard == [[b"hello"]]


def test_a_port_that_vanishes_is_told(pair: tuple[socket.socket, Port]) -> None:
    _, port = pair
    folder = os.open("/", os.O_RDONLY)
    os.dup2(folder, port._fd)
    os.close(folder)
    with pytest.raises(PortGone):
        port.receive()

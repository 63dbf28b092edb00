"""The agent's channel, against an agent that is a thread here."""

import json
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from lab.guest.channel import AgentFailure, Channel, ChannelTimeout
from lab.guest.lost import GuestLost, HostFault

Line = dict[str, object]


class Agent:
    """The far end: requests as they come, answers as the test wants them."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lines = connection.makefile("r", encoding="utf-8")

    def next(self) -> Line:
        return dict(json.loads(self._lines.readline()))

    def say(self, line: Line | bytes) -> None:
        raw = line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n"
        self._connection.sendall(raw)

    def answer(self, request: Line, **result: object) -> None:
        self.say({"id": request["id"], "ok": True, "result": result})

    def hang_up(self) -> None:
        self._lines.close()
        self._connection.close()


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Agent]]:
    near, far = socket.socketpair()
    agent = Agent(far)
    with Channel(near) as channel:
        yield channel, agent
    agent.hang_up()


def served(agent: Agent, serve: Callable[[Agent], None]) -> threading.Thread:
    thread = threading.Thread(target=serve, args=(agent,), daemon=True)
    thread.start()
    return thread


def test_a_result_comes_back(ends: tuple[Channel, Agent]) -> None:
    channel, agent = ends

    def serve(agent: Agent) -> None:
        request = agent.next()
        assert (request["op"], request["args"]) == ("double", {"x": 2})
        agent.answer(request, y=4)

    thread = served(agent, serve)
    assert channel.request("double", {"x": 2}, 5) == {"y": 4}
    thread.join(5)


def test_answers_in_another_order_find_their_requests(ends: tuple[Channel, Agent]) -> None:
    channel, agent = ends
    pending = [channel.submit("op", {"n": n}, 5) for n in range(5)]
    requests = [agent.next() for _ in range(5)]
    for request in reversed(requests):
        args = request["args"]
        assert isinstance(args, dict)
        agent.answer(request, n=args["n"])
    assert [one.result(5)["n"] for one in pending] == list(range(5))


def test_an_answer_in_pieces_is_put_together(ends: tuple[Channel, Agent]) -> None:
    channel, agent = ends
    pending = channel.submit("op", {}, 5)
    raw = json.dumps({"id": agent.next()["id"], "ok": True, "result": {"t": "ä" * 5000}}).encode()
    for start in range(0, len(raw), 700):
        agent.say(raw[start : start + 700])
    agent.say(b"\n")
    assert pending.result(5) == {"t": "ä" * 5000}


def test_a_failure_keeps_errno_and_operation(ends: tuple[Channel, Agent]) -> None:
    channel, agent = ends
    pending = channel.submit("snapshot_take", {}, 5)
    error = {"kind": "os", "errno": 28, "operation": "snapshot_take", "message": "no space"}
    agent.say({"id": agent.next()["id"], "ok": False, "error": error})
    with pytest.raises(AgentFailure) as caught:
        pending.result(5)
    assert (caught.value.errno, caught.value.operation) == (28, "snapshot_take")


def test_no_answer_is_a_timeout_and_a_late_one_is_dropped(ends: tuple[Channel, Agent]) -> None:
    channel, agent = ends
    with pytest.raises(ChannelTimeout):
        channel.request("slow", {}, 0.05)
    agent.answer(agent.next(), late=True)
    pending = channel.submit("quick", {}, 5)
    agent.answer(agent.next(), late=False)
    assert pending.result(5) == {"late": False}


def test_hello_drops_what_was_said_before(ends: tuple[Channel, Agent]) -> None:
    channel, agent = ends
    agent.say(b'alf a line"}\n')
    agent.say({"id": 1, "ok": True, "result": {"nonce": "of another life"}})

    def serve(agent: Agent) -> None:
        request = agent.next()
        args = request["args"]
        assert isinstance(args, dict)
        agent.answer(request, nonce=args["nonce"], pid=7)

    served(agent, serve)
    assert channel.hello(5)["pid"] == 7


def test_a_closed_port_ends_all_who_wait(ends: tuple[Channel, Agent]) -> None:
    channel, agent = ends
    pending = channel.submit("op", {}, 5)
    agent.next()
    agent.hang_up()
    with pytest.raises(GuestLost):
        pending.result(5)
    with pytest.raises(GuestLost):
        channel.request("op", {}, 5)


def test_the_first_reason_counts_and_keeps_its_kind(ends: tuple[Channel, Agent]) -> None:
    channel, agent = ends
    pending = channel.submit("op", {}, 5)
    channel.lose(HostFault("disk full"))
    channel.lose(GuestLost("QEMU ended"))
    for attempt in (lambda: pending.result(5), lambda: channel.request("op", {}, 5)):
        with pytest.raises(HostFault, match="disk full"):
            attempt()
    del agent


def test_a_guest_that_does_not_read_is_a_timeout(ends: tuple[Channel, Agent]) -> None:
    channel, _agent = ends
    with pytest.raises(ChannelTimeout):
        for _ in range(100):
            channel.submit("op", {"x": "y" * 100_000}, 0.05)

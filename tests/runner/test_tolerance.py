"""What an I/O that failed explains: an image that it may have spoiled, and nothing else."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from lab.guest.channel import AgentFailure
from lab.model.world import World
from lab.runner import tolerance
from lab.runner.explained import note_passing
from lab.runner.failures import StepFailed
from lab.runner.verbs import events
from lab.runner.verbs.events import SnapshotEvent
from lab.scenario.devices import Device
from lab.scenario.step import Step
from lab.scenario.steps_io import ImageExpect, ReadImage
from lab.tap.record import Io, Op, Tap

PART = {"partition": {"on": "b", "at": 0, "size": "64KiB"}}


class FakeContext:
    """Two snapshots with storage on one disk, and one I/O that has failed, if any."""

    def __init__(self, *failed: Io) -> None:
        self.model = World()
        for name in ("a", "b", "store"):
            self.model.add_disk(name, 4096)
        self.model.add_stack("part", Device.model_validate(PART), 128)
        self.snapshots: dict[str, Any] = {}
        for name, device, place in (("s", "a", 0), ("t", "part", 1024)):
            self.model.created(name, (device,))
            self.model.appended(name, "store", [(place, 96), (place + 512, 256)])
            self.model.taken(name, 1, 2)
            self.snapshots[name] = SimpleNamespace(name=name, taken=True, images={device: "/dev/i"})
        self.devices = {name: SimpleNamespace(path=f"/dev/{name}") for name in ("a", "b")}
        self.consequences: list[str] = []
        self.tap = Tap(Io("a", Op.READ, 0, 8, 1))
        self.tap.open()
        for io in failed:
            self.fail(io)

    def fail(self, io: Io) -> None:
        self.tap.fault = io
        assert self.tap.fails(io.disk, io.op, io.sector, io.count)


@pytest.fixture(autouse=True)
def queued(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[SnapshotEvent]]:
    found: list[SnapshotEvent] = []
    monkeypatch.setattr(events, "drain", lambda *_: found)
    monkeypatch.setattr(events, "claim", lambda *_: None)
    yield found


@pytest.mark.parametrize(
    ("fault", "spoiled", "explained"),
    [
        (Io("a", Op.READ, 8, 8, 1), "a", True),
        (Io("a", Op.WRITE, 8, 8, 1), "a", False),
        (Io("a", Op.FLUSH, 0, 0, 1), "a", False),
        (Io("b", Op.READ, 8, 8, 1), "a", False),
        (Io("b", Op.WRITE, 8, 8, 1), "a", False),
        (Io("b", Op.READ, 8, 8, 1), "part", True),
        (Io("store", Op.WRITE, 512, 8, 1), "a", True),
        (Io("store", Op.READ, 40, 8, 1), "a", True),
        (Io("store", Op.FLUSH, 0, 0, 1), "a", True),
        (Io("store", Op.WRITE, 1024, 8, 1), "a", False),
        (Io("store", Op.WRITE, 1024, 8, 1), "part", True),
        (Io("store", Op.WRITE, 400, 8, 1), "a", False),
    ],
)
def test_an_image_is_spoiled_by_its_reads_and_its_storage_only(
    fault: Io, spoiled: str, explained: bool, queued: list[SnapshotEvent]
) -> None:
    queued.append(SnapshotEvent("corrupted", 1, device=spoiled, number=errno.EIO))
    context: Any = FakeContext(fault)
    name = "s" if spoiled == "a" else "t"
    if explained:
        tolerance.take_events(context, name, fault)
        assert f"event corrupted, device {spoiled}, EIO" in context.consequences
    else:
        with pytest.raises(StepFailed, match="does not explain"):
            tolerance.take_events(context, name, fault)


def test_nothing_is_explained_before_it_has_failed(queued: list[SnapshotEvent]) -> None:
    queued.append(SnapshotEvent("corrupted", 1, device="a", number=errno.EIO))
    context: Any = FakeContext()
    with pytest.raises(StepFailed, match="does not explain"):
        tolerance.take_events(context, "s", Io("a", Op.READ, 0, 8, 1))


def read(context: Any, refused: int, *, then: Io | None = None, expect: str = "model") -> Any:
    """Read the image of a, 64 sectors of it, of which some are refused."""

    def work(action: Any) -> Mapping[str, object]:
        assert isinstance(action, ReadImage)
        assert action.expect is ImageExpect.MODEL_OR_EIO
        if then is not None:
            context.fail(then)
        return {"sectors": 64, "EIO": refused}

    step = Step.model_validate({"read_image": {"device": "a", "expect": expect}})
    return tolerance.do(context, step, work)


def test_what_an_image_refuses_is_in_the_table() -> None:
    context = FakeContext(Io("store", Op.READ, 0, 8, 1))
    assert read(context, 8)["EIO"] == 8
    assert context.consequences == ["read_image of a: 8 sectors EIO"]
    quiet = FakeContext(Io("store", Op.READ, 0, 8, 1))
    read(quiet, 0)
    assert quiet.consequences == []


def test_an_image_refuses_nothing_before_the_fault_or_for_another_one() -> None:
    with pytest.raises(StepFailed, match=r"8 sectors .* gave EIO, must be 0: nothing had failed"):
        read(FakeContext(), 8)
    with pytest.raises(StepFailed, match="all that failed was write of b"):
        read(FakeContext(Io("b", Op.WRITE, 0, 8, 1)), 8)
    read(FakeContext(), 8, then=Io("a", Op.READ, 0, 8, 1))


@pytest.mark.parametrize(
    ("fault", "path", "what"),
    [
        (Io("store", Op.READ, 0, 8, 1), "/dev/i", "the image of a"),
        (Io("a", Op.READ, 0, 8, 1), "/dev/i", "the image of a"),
        (Io("a", Op.READ, 0, 8, 1), "/dev/a", "a"),
    ],
)
def test_a_read_that_fails_once_is_in_the_table(fault: Io, path: str, what: str) -> None:
    context: Any = FakeContext(fault)
    context.snapshots.pop("t")
    note_passing(context, path, [[0, 96, errno.EIO]])
    assert context.consequences == [f"a read of {what}, sectors 0+96, failed once with EIO"]


@pytest.mark.parametrize(
    ("fault", "path", "number"),
    [
        (Io("b", Op.READ, 0, 8, 1), "/dev/i", errno.EIO),
        (Io("store", Op.READ, 1024, 8, 1), "/dev/i", errno.EIO),
        (Io("store", Op.READ, 0, 8, 1), "/dev/a", errno.EIO),
        (Io("a", Op.WRITE, 0, 8, 1), "/dev/a", errno.EIO),
        (Io("a", Op.READ, 0, 8, 1), "/dev/a", errno.ENOSPC),
    ],
)
def test_a_read_fails_once_only_where_the_fault_explains_it(
    fault: Io, path: str, number: int
) -> None:
    context: Any = FakeContext(fault)
    context.snapshots.pop("t")
    with pytest.raises(StepFailed, match="does not explain it: "):
        note_passing(context, path, [[0, 96, number]])
    with pytest.raises(StepFailed, match="does not explain it: nothing"):
        quiet: Any = FakeContext()
        note_passing(quiet, path, [[0, 96, number]])


def write_image(context: Any, *, then: Io | None = None) -> Any:
    """Write into the image of a, which fails."""

    def work(action: Any) -> Mapping[str, object]:
        if then is not None:
            context.fail(then)
        raise AgentFailure({"kind": "os", "errno": errno.EIO, "operation": "write"})

    step = Step.model_validate({"write_image": {"device": "a", "at": 0, "size": "4KiB"}})
    return tolerance.do(context, step, work)


@pytest.mark.parametrize(
    ("fault", "explained"),
    [
        (Io("a", Op.READ, 8, 8, 1), True),
        (Io("store", Op.WRITE, 512, 8, 1), True),
        (Io("a", Op.WRITE, 8, 8, 1), False),
        (Io("a", Op.FLUSH, 0, 0, 1), False),
        (Io("store", Op.WRITE, 1024, 8, 1), False),
    ],
)
def test_a_write_into_an_image_fails_only_when_its_own_reads_or_storage_do(
    fault: Io, explained: bool, queued: list[SnapshotEvent]
) -> None:
    if explained:
        assert write_image(FakeContext(), then=fault) == {"failed": "EIO"}
    else:
        with pytest.raises(StepFailed, match="failed though only this did"):
            write_image(FakeContext(), then=fault)
    with pytest.raises(StepFailed, match="failed though only this did"):
        write_image(FakeContext(fault))


def test_a_write_into_an_image_fails_later_if_that_is_spoiled(queued: list[SnapshotEvent]) -> None:
    context: Any = FakeContext(Io("a", Op.READ, 8, 8, 1))
    context.model.corrupted("s", "a", errno.EIO, 1)
    assert write_image(context) == {"failed": "EIO"}


def test_an_image_that_must_refuse_does_so_as_long_as_nothing_has_failed() -> None:
    read(FakeContext(), 64, expect="eio")
    with pytest.raises(StepFailed, match="must be 64"):
        read(FakeContext(), 0, expect="eio")

"""Background loads, on files in place of disks."""

from __future__ import annotations

import errno
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab import blksnap, stamp
from lab.agent.loads import answers, cycles, watches
from lab.errors import LabError, UsageError

from .conftest import Agent

SECTORS = (4 << 20) // 512
NONE = 2**62


def poll_until(agent: Agent, name: str, wanted: Callable[[Any], bool]) -> Any:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        report = agent.ask("load_poll", name=name, start=NONE)
        if wanted(report) or report["failed"]:
            return report
        time.sleep(0.01)
    raise AssertionError(f"nothing came of {name}: {report}")


def all_writes(agent: Agent, name: str) -> list[list[int]]:
    writes: list[list[int]] = []
    while True:
        report = agent.ask("load_poll", name=name, start=len(writes))
        writes += report["writes"]
        if not report["more"]:
            return writes


def test_the_largest_number_of_all_writes_to_a_sector_is_what_it_holds(
    agent: Agent, disk: Path
) -> None:
    agent.ask(
        "load_start",
        name="w",
        kind="writers",
        path=str(disk),
        tag=5,
        workers=4,
        sizes=[512, 65536],
        region=[64, 4096],
        how="buffered",
        boundary=32768,
    )
    poll_until(agent, "w", lambda report: report["finished"] > 300)
    final = agent.ask("load_stop", name="w")["report"]
    assert (final["failed"], final["running"], final["in_flight"]) == ([], 0, [])
    writes = all_writes(agent, "w")
    assert sorted(write[0] for write in writes) == list(range(1, 1 + len(writes)))
    model: dict[int, int] = {}
    for seq, sector, count, issued, done, failure in sorted(writes):
        assert sector >= 64 and sector + count <= 64 + 4096 and 1 <= count <= 128
        assert issued <= done and failure == 0
        model.update(dict.fromkeys(range(sector, sector + count), seq))
    for run in stamp.scan(disk.read_bytes(), 0):
        for sector in range(run.sector, run.sector + run.count):
            assert model.get(sector) == run.seq


def test_writes_that_the_host_has_are_dropped_and_figures_come_without_any(
    agent: Agent, disk: Path
) -> None:
    agent.ask("load_start", name="w", kind="writers", path=str(disk), tag=1, how="buffered")
    poll_until(agent, "w", lambda report: report["finished"] > 20)
    final = agent.ask("load_stop", name="w", start=NONE)["report"]
    assert (final["writes"], final["more"]) == ([], False)
    writes = all_writes(agent, "w")
    assert len(writes) == final["finished"] > 20
    assert agent.ask("load_poll", name="w", start=5)["writes"][0] == writes[5]
    assert agent.ask("load_poll", name="w", start=5)["finished"] == len(writes)
    assert "is no longer there" in agent.fail("load_poll", name="w", start=4)["message"]


def test_writers_keep_their_rate(agent: Agent, disk: Path) -> None:
    agent.ask(
        "load_start", name="slow", kind="writers", path=str(disk), tag=1, how="buffered", rate=1.0
    )
    poll_until(agent, "slow", lambda report: report["finished"] >= 1)
    assert agent.ask("load_stop", name="slow")["report"]["finished"] <= 3


def test_a_ring_leaves_its_last_numbers_on_every_device(agent: Agent, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        path.write_bytes(bytes(64 * 512))
    devices = [{"path": str(path), "tag": tag} for tag, path in enumerate(paths, 1)]
    agent.ask("load_start", name="r", kind="ring", devices=devices, region=[8, 32], how="mmap")
    poll_until(agent, "r", lambda report: report["last_n"] > 10)
    report = agent.ask("load_stop", name="r")["report"]
    last = report["last_n"]
    assert report["started_n"] == last
    for tag, path in enumerate(paths, 1):
        runs = [run for run in stamp.scan(path.read_bytes(), 0) if run.kind is stamp.Kind.STAMP]
        found = {run.sector: (run.count, run.tag, run.seq) for run in runs}
        assert found == {8 + (n - 1) * 8 % 32: (8, tag, n) for n in range(last - 3, last + 1)}


def test_a_ring_of_files_leaves_the_number_in_each(agent: Agent, tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in "ab"]
    agent.ask("load_start", name="f", kind="file_ring", files=files)
    poll_until(agent, "f", lambda report: report["last_n"] > 3)
    report = agent.ask("load_stop", name="f")["report"]
    assert [int(Path(file).read_text()) for file in files] == [report["last_n"]] * 2


def test_readers_tell_what_is_wrong(agent: Agent, disk: Path) -> None:
    good = stamp.build(1, 0, 64, 5)
    given = {"kind": "readers", "path": str(disk), "direct": False, "size": 16384}
    for name, spoil, said in (
        ("right", b"", ""),
        ("another", bytes(stamp.build(4, 0, 1, 9)), ""),
        ("garbage", b"?" * 512, "garbage"),
        ("moved", bytes(stamp.build(1, 7, 1, 5)), "belongs to sector 7"),
        ("foreign", bytes(stamp.build(2, 0, 1, 5)), "by somebody else"),
        ("late", bytes(stamp.build(1, 0, 1, 9)), "a later write"),
    ):
        disk.write_bytes(spoil + good[len(spoil) :])
        agent.ask("load_start", name=name, newest=[[1, 8], [4, 9]], **given)
        poll_until(agent, name, lambda report: report["reads"] > 20)
        report = agent.ask("load_stop", name=name)["report"]
        assert report["errors"] == {} and report["max_latency_ns"] > 0
        assert bool(report["bad"]) == bool(said)
        assert all(bad[0] == 0 and said in bad[1] for bad in report["bad"])
        held = {"moved": [1, 5], "foreign": [2, 5], "late": [1, 9]}.get(name, [])
        assert all(bad[2:] == held for bad in report["bad"])


def test_cycles_go_on_after_a_failure(agent: Agent) -> None:
    given = {"devices": ["0:0"], "storage": "0:0", "ranges": [[0, 8]]}
    agent.ask("load_start", name="t", kind="take_cycle", **given)
    poll_until(agent, "t", lambda report: report["cycles"] > 3)
    report = agent.ask("load_stop", name="t")["report"]
    assert (report["failure_count"], report["takes"]) == (report["cycles"], [])


class Held:
    """In place of the module and of its one snapshot: wants storage three times, and is gone."""

    def __init__(self) -> None:
        self.wanted = [20, 16, 8]
        self.given: list[tuple[object, ...]] = []

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def snapshot(self, _: uuid.UUID) -> Held:
        return self

    def wait_event(self, _: int) -> blksnap.Event:
        if not self.wanted:
            raise blksnap.BlksnapError("snapshot_wait_event", errno.ESRCH)
        return blksnap.LowFreeSpaceEvent(1, self.wanted.pop(0))

    def append_storage(self, device: str, ranges: list[blksnap.SectorRange]) -> None:
        self.given += [(device, one.sector, one.count) for one in ranges]

    def append_file(self, path: str, size: int) -> blksnap.FileRanges:
        self.given.append((path, size))
        place = (blksnap.SectorRange(64, size // 512),)
        return blksnap.FileRanges(blksnap.Device(0, 0), place, size, 0)


@pytest.mark.parametrize("where", ["device", "folder"])
def test_each_event_is_answered_with_what_it_asks_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, where: str
) -> None:
    held = Held()
    monkeypatch.setattr(blksnap, "Control", lambda: held)
    on = {"device": "x", "start_sector": 8, "limit_sector": 45}
    given: dict[str, Any] = on if where == "device" else {"folder": str(tmp_path)}
    answer = answers.Answer(str(uuid.UUID(int=1)), **given)
    answer._run()
    report = answer.report(0)
    assert len(report["events"]) == 3
    if where == "device":
        assert held.given == [("x", 8, 24), ("x", 32, 8)]
        assert [one["ranges"] for one in report["appends"]] == [[[8, 24]], [[32, 8]]]
        assert "sector 40 is the limit" in report["refused"][0]["why"]
    else:
        sizes = enumerate((24, 16, 8), 1)
        files = [(f"{tmp_path}/diff0000{number}", count * 512) for number, count in sizes]
        assert held.given == files
        assert report["appends"][0]["ranges"] == [[64, 24]]
        assert report["refused"] == []
    with pytest.raises(UsageError, match="device or folder"):
        answers.Answer(str(uuid.UUID(int=1)))


def test_a_load_that_cannot_begin_leaves_no_name_behind(agent: Agent, disk: Path) -> None:
    for _ in range(2):
        error = agent.fail("load_start", name="n", kind="writers", path="/nonexistent", tag=1)
        assert error["errno"] == 2
    error = agent.fail("load_start", name="n", kind="writers", path=str(disk), tag=1, sizes=[0, 0])
    assert error["kind"] == "usage"
    error = agent.fail("load_start", name="n", kind="ring", devices=[{"path": "x"}])
    assert "missing argument tag" in error["message"]


def test_a_name_serves_one_load_at_a_time(agent: Agent, tmp_path: Path) -> None:
    given = {"name": "one", "kind": "file_ring", "files": [str(tmp_path / "x")]}
    agent.ask("load_start", **given)
    assert agent.fail("load_start", **given)["kind"] == "usage"
    agent.ask("load_stop", name="one")
    agent.ask("load_start", **given)
    agent.ask("load_stop", name="one")


def test_a_load_whose_thread_fails_says_so(agent: Agent) -> None:
    agent.ask("load_start", name="bad", kind="file_ring", files=["/nonexistent/x"])
    report = poll_until(agent, "bad", lambda report: not report["running"])
    assert report["failed"][0]["errno"] == 2
    agent.ask("load_stop", name="bad")


def test_the_highest_memory_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [10, 10, 70, 30]

    def counted() -> dict[str, tuple[int, int]]:
        size = sizes.pop(0) if len(sizes) > 1 else sizes[0]
        return {"chunk": (1, size), "event": (0, 0)}

    monkeypatch.setattr(watches, "counted_memory", counted)
    memory = watches.Memory()
    memory.begin()
    while memory.report(0)["samples"] < 5:
        time.sleep(0.01)
    memory.end(10)
    report = memory.full_report()
    assert (report["first"], report["most"], report["failed"]) == (10, 70, [])
    assert report["kinds"] == {"chunk": [1, 70]}


def test_failures_of_a_rare_kind_are_told_whatever_came_before() -> None:
    class Fails(cycles._Cycle):
        def once(self) -> None:
            if self._cycles == 61:
                self.end(0)
            raise OSError(errno.EBUSY if self._cycles < 60 else errno.EINVAL, "no")

    load = Fails(0)
    load._run()
    report = load.report(0)
    told = [one["errno"] for one in report["failures"]]
    assert told.count(errno.EINVAL) == 2
    assert 0 < told.count(errno.EBUSY) < 60
    assert report["failure_count"] == 62


@pytest.mark.parametrize(
    ("found", "fits"),
    [(bytes(4), True), (b"\1\2", True), (b"", True), (bytes(5), False), (b"\0\3", False)],
)
def test_a_map_must_fit_its_tracker(found: bytes, fits: bool) -> None:
    class Map:
        info = SimpleNamespace(device="7:0", block_count=4, number=2, is_gone=False)

        def __enter__(self) -> Map:
            return self

        def __exit__(self, *_error: object) -> None:
            pass

        def read(self) -> bytes:
            return found

    tracker: Any = SimpleNamespace(cbt_map=Map)
    Map.info.is_gone = True
    watches._read_map(tracker)
    Map.info.is_gone = False
    if fits:
        watches._read_map(tracker)
    else:
        with pytest.raises(LabError, match="its tracker has 4 blocks and number 2"):
            watches._read_map(tracker)

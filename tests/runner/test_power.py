"""What the runner keeps of disks with a log, and what a power cut makes of their files."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from crash.logs import FLUSH, TAG, Put, write_log

from lab.crash.log import WriteLog
from lab.guest.lost import GuestLost
from lab.model.seen import Seen, SeenKind
from lab.model.world import World
from lab.runner import hostscan
from lab.runner.failures import StepFailed
from lab.runner.power import Power, judge_log, lose
from lab.runner.verbs import power
from lab.scenario.steps_fs import WriteFiles
from lab.scenario.steps_io import Write, WriteHow
from lab.units import SECTOR

from .fake_guest import FakeDisk

SIZE = 64 * SECTOR


def disk(tmp_path: Path, puts: list[Put]) -> FakeDisk:
    file = tmp_path / "a.raw"
    data = bytearray(SIZE)
    for put in puts:
        data[put.sector * SECTOR : (put.sector + put.count) * SECTOR] = put.data
    file.write_bytes(data)
    return FakeDisk("a", "/dev/vdb", SIZE, file, write_log(tmp_path / "a.log", puts))


def test_a_cut_leaves_what_was_safe_and_some_of_the_rest(tmp_path: Path) -> None:
    puts = [Put(0, 8, 1), FLUSH, *[Put(n, 1, n) for n in range(8, 24)]]
    seen: set[int] = set()
    for seed in range(12):
        target = disk(tmp_path, puts)
        told = lose(target, random.Random(seed), tmp_path)
        assert told["unsafe"] == 16
        runs = hostscan.scan_file(target.host_file, SIZE)
        assert (runs[0].count, runs[0].seq) == (8, 1)
        left = sum(run.count for run in runs[1:] if run.kind is SeenKind.STAMP)
        assert left == told["kept"]
        seen.add(left)
    assert {0, 16} < seen


def test_a_log_that_breaks_a_promise_fails_the_step(tmp_path: Path) -> None:
    power = Power()
    power.watch("a")
    write = Write.model_validate({"device": "a", "how": WriteHow.DSYNC})
    power.wrote("a", [(0, 8, 1), (8, 8, 2)], write)
    power.wrote("b", [(0, 8, 1)], write)  # has no log
    for puts in ([Put(0, 8, 1), Put(8, 8, 2)], [Put(0, 8, 1), FLUSH]):
        with WriteLog(write_log(tmp_path / "log", puts)) as log, pytest.raises(StepFailed):
            judge_log(log, TAG, power.ledgers["a"], "a")
    good = [Put(0, 8, 1), FLUSH, Put(8, 8, 2), FLUSH]
    with WriteLog(write_log(tmp_path / "log", good)) as log:
        judge_log(log, TAG, power.ledgers["a"], "a")


def test_files_are_promised_between_their_fsync_and_the_next_writing(tmp_path: Path) -> None:
    power = Power()
    action = WriteFiles.model_validate({"at": "/mnt/files"})
    target = disk(tmp_path, [Put(0, 8, 1), FLUSH])
    power.made_fs("a", target)
    assert power.made == {"a": 2}
    power.files_begin("a", "files", target)
    power.files_end("a", "files", action, target)
    target = disk(tmp_path, [Put(0, 8, 1), FLUSH, Put(0, 8, 2)])
    power.files_begin("a", "files", target)
    power.files_end("a", "files", action, target)
    assert [(one.since, one.until) for one in power.files] == [(2, 3), (3, None)]
    power.booted()
    assert [(one.since, one.until) for one in power.files] == [(0, None)]
    assert power.made == {"a": 0}


def test_the_model_allows_what_was_safe_or_anything_later() -> None:
    world = World()
    world.add_disk("a", 64, loses=True)
    tag = world.tag("a")
    for seq, how in enumerate(("direct", "dsync", "direct", "direct"), 1):
        world.wrote("a", [(0, 8, seq)], how)
        if how == "dsync":
            world.safe("a", [(0, 8, seq)])
    world.wrote("a", [(8, 8, 5)], "direct")
    world.power_failed("a")

    def wrong(sector: int, seq: int) -> bool:
        kind = SeenKind.STAMP if seq else SeenKind.ZERO
        seen = [Seen(sector, 8, kind, tag if seq else 0, seq, sector if seq else 0)]
        return bool(world.compare_original("a", seen, sector, 8))

    assert [seq for seq in range(6) if not wrong(0, seq)] == [2, 3, 4]
    assert [seq for seq in range(6) if not wrong(8, seq)] == [0, 5]


def test_what_was_synced_is_safe_and_other_disks_lose_nothing() -> None:
    world = World()
    world.add_disk("a", 64, loses=True)
    world.add_disk("b", 64)
    for name in "ab":
        world.wrote(name, [(0, 8, 1)], "direct")
        world.synced(name)
        world.wrote(name, [(0, 8, 2)], "direct")
        world.power_failed(name)
    one = [Seen(0, 8, SeenKind.STAMP, world.tag("a"), 1, 0)]
    assert not world.compare_original("a", one, 0, 8)
    one = [Seen(0, 8, SeenKind.STAMP, world.tag("b"), 1, 0)]
    assert world.compare_original("b", one, 0, 8)


def test_a_step_that_fails_before_the_cut_has_failed_and_nothing_is_cut() -> None:
    cuts: list[str] = []
    context: Any = SimpleNamespace(guest=SimpleNamespace(power_cut=lambda: cuts.append("cut")))

    def fails() -> None:
        raise StepFailed("wrong data")

    with pytest.raises(StepFailed, match="wrong data"):
        power._cut_during(context, fails, 60.0)
    assert cuts == []


def test_a_cut_that_comes_in_time_leaves_nothing_to_measure() -> None:
    cut = threading.Event()
    context: Any = SimpleNamespace(guest=SimpleNamespace(power_cut=cut.set))

    def work() -> None:
        assert cut.wait(60)
        raise GuestLost("QEMU exited")

    assert power._cut_during(context, work, 0.01) is None


def test_after_work_that_was_done_before_the_power_is_cut_at_once() -> None:
    cuts: list[str] = []
    context: Any = SimpleNamespace(guest=SimpleNamespace(power_cut=lambda: cuts.append("cut")))
    began = time.monotonic()
    took = power._cut_during(context, lambda: time.sleep(0.02), 60.0)
    assert took is not None and 0.02 <= took <= time.monotonic() - began < 30
    assert cuts == ["cut"]


def test_a_guest_that_is_lost_without_a_cut_is_no_power_cut() -> None:
    context: Any = SimpleNamespace(guest=SimpleNamespace(power_cut=lambda: None))

    def work() -> None:
        raise GuestLost("its kernel panicked")

    with pytest.raises(GuestLost, match="panicked"):
        power._cut_during(context, work, 60.0)

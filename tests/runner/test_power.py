"""What the runner keeps of disks with a log, and what a power cut makes of their files."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import ANY

import pytest
from crash.logs import FLUSH, TAG, Put, write_log

from lab.crash.journal import COMMIT
from lab.crash.ledger import Ledger
from lab.crash.log import WriteLog
from lab.guest.lost import GuestLost
from lab.model.seen import Seen, SeenKind
from lab.model.world import World
from lab.process import run
from lab.runner import hostscan
from lab.runner.failures import StepFailed
from lab.runner.hostfs import FilePromise, block_names, journal_of
from lab.runner.power import Power, judge_log, lose
from lab.runner.verbs import power
from lab.scenario.step import PowerCut
from lab.scenario.steps_fs import WriteFiles
from lab.scenario.steps_io import Write, WriteHow
from lab.scenario.steps_power import CheckJournal, CompareLogs, CrashStates
from lab.units import MIB, SECTOR

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
        told = lose(target, random.Random(seed), tmp_path, None)
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


def test_cuts_that_nothing_is_lost_at_prove_nothing() -> None:
    power = Power()
    assert power.nothing_to_lose() == []
    power.at_stake = {"a": [0, 3], "b": [0, 0]}
    (wrong,) = power.nothing_to_lose()
    assert wrong.startswith("none of 2 power cuts could lose a write to b")


FILES = FilePromise("", "files", count=2, size=4096, seed=1, since=0)


class Transactions:
    """Disks with a small ext4, and logs of files that were written to them and committed."""

    def __init__(self, tmp_path: Path, logs: dict[str, str]) -> None:
        """logs: of each disk by its name: d writes a file, j to the journal, c a commit record, and
        f flushes."""
        self.power = Power()
        self.disks = {}
        self.reports: dict[str, object] = {}
        for name, steps in logs.items():
            image = tmp_path / f"{name}.raw"
            with image.open("xb") as file:
                file.truncate(8 * MIB)
            run(["mke2fs", "-q", "-t", "ext4", str(image)], timeout=60)
            log = write_log(tmp_path / f"{name}.log", list(self._puts(image, steps)))
            self.disks[name] = FakeDisk(name, "/dev/vdb", 8 * MIB, image, log, base=image)
            self.power.made[name] = 0
            self.power.files.append(replace(FILES, device=name))
        self.context: Any = SimpleNamespace(
            guest=SimpleNamespace(disks=self.disks),
            device=lambda name: SimpleNamespace(name=name),
            model=SimpleNamespace(is_opaque=lambda _name: True),
            folder=SimpleNamespace(path=tmp_path),
            deadline=SimpleNamespace(left=lambda: None),
            power=self.power,
            reports=self.reports,
        )

    @staticmethod
    def _puts(image: Path, steps: str) -> Iterator[Put]:
        journal = journal_of(image)
        assert journal is not None
        blocks, files = iter(sorted(journal.blocks)), iter(block_names([FILES]))
        for step in steps:
            if step == "f":
                yield FLUSH
            elif step == "d":
                yield Put(7 * MIB // SECTOR, 2, other=next(files) * 2)
            else:
                start = COMMIT if step == "c" else b""
                yield Put(next(blocks) * 2, 2, other=start.ljust(1024, b"\1"))


def test_each_commit_of_a_journal_must_be_flushed_before(tmp_path: Path) -> None:
    made = Transactions(tmp_path, {"a": "djfcf" * 2, "b": "djfcfdjcf"})
    check = CheckJournal(device="a", commits=2)
    assert power.check_journal(made.context, check) == {"commits": 2}
    with pytest.raises(StepFailed, match="has 2 commits; 3 needed"):
        power.check_journal(made.context, CheckJournal(device="a", commits=3))
    with pytest.raises(StepFailed, match=r"log of b: entry 7 commits transaction"):
        power.check_journal(made.context, CheckJournal(device="b"))
    made.disks["a"].host_file.write_bytes(bytes(MIB))
    with pytest.raises(StepFailed, match="no ext4 journal"):
        power.check_journal(made.context, check)
    del made.power.made["a"]
    with pytest.raises(StepFailed, match="no file system of which all is logged"):
        power.check_journal(made.context, check)


def test_of_file_systems_what_is_pending_with_their_files_is_compared(tmp_path: Path) -> None:
    logs = {"a": "djfcf" * 2, "b": "djjfjfcf" * 2, "early": "djfcfdjcf", "less": "djfcf", "no": ""}
    made = Transactions(tmp_path, logs)

    def compared(device: str, like: str) -> object:
        return power.compare_logs(made.context, CompareLogs(device=device, like=like))

    assert compared("a", "b") == {"epochs": 2}
    with pytest.raises(StepFailed, match="a commit record must not be among them"):
        compared("early", "b")
    with pytest.raises(StepFailed, match="time 2 that blocks of files"):
        compared("less", "b")
    with pytest.raises(StepFailed, match="nothing was written to no that can be compared"):
        compared("no", "no")
    made.context.model.is_opaque = lambda name: name == "a"
    with pytest.raises(StepFailed, match="one of the two holds more than stamps"):
        compared("a", "b")


def test_crash_states_need_so_many_that_lose_a_write(tmp_path: Path) -> None:
    made = Transactions(tmp_path, {"a": "ffff", "b": "jfjfjf"})
    made.power.files.clear()
    with pytest.raises(StepFailed, match="only 0 states to check that lose a write; 1 needed"):
        power.crash_states(made.context, CrashStates(device="a"))
    found = power.crash_states(made.context, CrashStates(device="b", least=3))
    assert found == {"at flushes": 3, "subsets": 3, "folders checked": 0}


@pytest.fixture
def before_a_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Transactions:
    """A disk with one transaction, and power that can be cut."""
    made = Transactions(tmp_path, {"a": "djfcfj"})
    context, made.power.ledgers = made.context, {"a": Ledger()}
    context.guest.power_cut = lambda: None
    context.turn, context.devices, context.loads = 0, {"a": None}, {}
    context.log = SimpleNamespace(poll=lambda _guest: None)
    context.model.power_failed = lambda _name: None
    monkeypatch.setattr(power.coverage, "save", lambda _context: None)
    return made


CUT = PowerCut.model_validate({})


def test_at_a_power_cut_the_journal_is_judged_before_anything_is_lost(
    before_a_cut: Transactions, tmp_path: Path
) -> None:
    made = before_a_cut
    made.power.files.clear()
    detail = power.power_cut(made.context, CUT, None)
    told = {"entries": 6, "unsafe": 1, "kept": ANY, "commits": 1, "folders checked": 0}
    assert detail["a"] == told
    assert made.power.at_stake == {"a": [1]}
    write_log(made.disks["a"].log or tmp_path, list(made._puts(made.disks["a"].host_file, "jc")))
    with pytest.raises(StepFailed, match="commits transaction"):
        power.power_cut(made.context, CUT, None)


def test_files_that_were_synced_must_be_in_what_a_cut_leaves(before_a_cut: Transactions) -> None:
    with pytest.raises(StepFailed, match=r"a, as the power cut left it: /files/.*is not there"):
        power.power_cut(before_a_cut.context, CUT, None)


def test_a_file_system_must_be_whole_in_what_a_cut_leaves(
    before_a_cut: Transactions, tmp_path: Path
) -> None:
    made = before_a_cut
    made.power.files.clear()
    # The root's directory is in the first group, behind the tables of inodes.
    (block,) = run(
        ["debugfs", "-R", "blocks <2>", str(made.disks["a"].host_file)], timeout=60
    ).split()[-1:]
    write_log(made.disks["a"].log or tmp_path, [Put(int(block) * 2, 2, other=b"\5" * 1024), FLUSH])
    with pytest.raises(StepFailed, match=r"a, as the power cut left it: e2fsck"):
        power.power_cut(made.context, CUT, None)

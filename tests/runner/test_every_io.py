"""One run for each I/O: all are run, each fails where it must, the table says what came of it."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.guest.disks import DiskSpec
from lab.runner import scenario_run
from lab.runner.every_io import choose
from lab.runner.klog import LogLine
from lab.runner.verdict import RunResult, Verdict
from lab.runner.watch import KernelLog
from lab.scenario.load import parse_scenario
from lab.scenario.mistakes import ScenarioError
from lab.scenario.scenario import FailEach
from lab.tap.record import Io, Op, Tap

from .fake_guest import FakeGuest, FakeTemplate, failure

EACH = """
summary: Each I/O fails once, in a run of its own
fail_each: {disks: [a, store], limit: 10, least: 3}
disks:
  a: {size: 1MiB}
  store: {size: 4MiB}
steps:
  - write: {device: a, size: 64KiB}
  - create: {devices: [a]}
  - append_storage: {device: store, ranges: [{at: 0, size: 1MiB}]}
  - take:
  - write: {device: a, ranges: [{at: 0, size: 4KiB}, {at: 512KiB, size: 4KiB}, {at: 0, size: 4KiB}]}
  - read_image: {device: a}
  - destroy:
"""
TAPS: dict[Path, Tap] = {}


class Server:
    """Stands for the server of a disk."""

    def __init__(self, name: str, file: Path, socket: Path, tap: Tap) -> None:
        assert file.name == f"{name}.raw"
        TAPS[socket] = tap

    def __enter__(self) -> None: ...

    def __exit__(self, *_error: object) -> None: ...


class TappedGuest(FakeGuest):
    """Its writes to originals pass a tap."""

    tap: Tap

    def request(self, op: str, args: Mapping[str, object], timeout: float) -> dict[str, Any]:
        for sector, count, _ in args.get("writes", ()):  # type: ignore[attr-defined]
            name = next(disk.name for disk in self.disks.values() if disk.path == args["path"])
            if self.tap.fails(name, Op.WRITE, sector, count):
                if "swallows errors" in self.kernel.broken:
                    break
                raise failure("os", op, "as the tap wants", errno.EIO)
        if op == "wait_event" and self.tap.hit and "spoils for nothing" in self.kernel.broken:
            self.tap = Tap()
            event = {"kind": "corrupted", "time_ns": 1, "device": [254, 16], "errno": errno.EIO}
            return {"event": event, "begin_ns": 1, "end_ns": 1}
        return super().request(op, args, timeout)


class TappedTemplate(FakeTemplate):
    """Makes them."""

    @contextmanager
    def clone(
        self, disks: Sequence[DiskSpec], folder: Path, *, keepable: bool = False
    ) -> Iterator[FakeGuest]:
        with super().clone(disks, folder, keepable=keepable) as plain:
            guest = TappedGuest(**vars(plain))
            assert disks[0].server is not None
            guest.tap = TAPS[disks[0].server]
            yield guest


@dataclass
class ShyTemplate(TappedTemplate):
    """The last I/O of a run is met only in the third run that waits for it, or in none."""

    runs: int = 0

    @contextmanager
    def clone(
        self, disks: Sequence[DiskSpec], folder: Path, *, keepable: bool = False
    ) -> Iterator[FakeGuest]:
        with super().clone(disks, folder, keepable=keepable) as guest:
            assert isinstance(guest, TappedGuest)
            if guest.tap.fault is not None and guest.tap.fault.sector == 1024:
                self.runs += 1
                if self.runs < 3 or "never met" in self.broken:
                    guest.tap = Tap()
            yield guest


@pytest.fixture(autouse=True)
def servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenario_run, "DiskServer", Server)


RunAll = Callable[..., RunResult]


def test_one_run_for_each_and_one_verdict(run_all: RunAll) -> None:
    (result,) = run_all(EACH, template=TappedTemplate(), jobs=2).results
    assert result.verdict is Verdict.PASSED, result.reason
    assert result.folder is not None
    table = json.loads((result.folder / "every-io.json").read_text())
    places = [(row["io"]["sector"], row["io"]["nth"]) for row in table["rows"]]
    assert sorted(places) == [(0, 1), (0, 2), (0, 3), (1024, 1)]
    assert all(row["reached"] for row in table["rows"])
    assert all("write: EIO" in row["said"] for row in table["rows"])
    assert table["report"]["kinds"] == {"write of a": 4}
    assert (result.folder / "io-004" / "verdict.json").is_file()
    assert "write of a" in str(result.reports["every I/O once"])


def test_an_error_that_nobody_tells_the_writer_is_found(run_all: RunAll) -> None:
    template = TappedTemplate(broken=frozenset({"swallows errors"}))
    (result,) = run_all(EACH, template=template).results
    assert result.verdict is Verdict.FAILED
    assert "with a failed write of a" in result.reason
    assert len(result.findings) == 4


def test_an_image_that_is_spoiled_without_cause_is_found(run_all: RunAll) -> None:
    template = TappedTemplate(broken=frozenset({"spoils for nothing"}))
    (result,) = run_all(EACH, template=template).results
    assert result.verdict is Verdict.FAILED
    assert "does not explain" in result.reason


def test_an_io_that_was_not_met_is_run_again(run_all: RunAll) -> None:
    (result,) = run_all(EACH, template=ShyTemplate()).results
    assert result.verdict is Verdict.PASSED, result.reason
    assert result.folder is not None
    report = json.loads((result.folder / "every-io.json").read_text())
    assert [row["tries"] for row in report["rows"]] == [1, 1, 1, 3]
    assert all(row["reached"] for row in report["rows"])
    assert report["report"]["not in the first run"] == 1
    assert (result.folder / "io-004-run-3" / "verdict.json").is_file()
    assert "(run 3)" in (result.folder / "every-io.txt").read_text()


def test_an_io_that_is_never_met_is_named(run_all: RunAll) -> None:
    template = ShyTemplate(broken=frozenset({"never met"}))
    (result,) = run_all(EACH, template=template).results
    assert result.verdict is Verdict.FAILED
    assert "only 3 of 4 I/Os failed in any run; not: write of a sectors 1024+8" in result.reason
    assert template.runs == 3


def test_one_of_many_that_is_never_met_is_a_finding(run_all: RunAll) -> None:
    places = "".join(f"{{at: {at}KiB, size: 4KiB}}, " for at in range(8, 104, 8))
    first = "{at: 0, size: 4KiB}, {at: 512"
    assert first in EACH
    many = EACH.replace("limit: 10", "limit: 40").replace(first, places + first)
    template = ShyTemplate(broken=frozenset({"never met"}))
    (result,) = run_all(many, template=template).results
    assert result.verdict is Verdict.FAILED
    assert "only 15 of 16 I/Os failed in any run; not: write of a sectors 1024+8" in result.reason


def test_the_table_has_what_the_module_said(
    run_all: RunAll, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [LogLine("blksnap: no good", 3, 1_000_000), LogLine("blksnap: by the way", 6)]
    mark = KernelLog.mark

    def marked(log: KernelLog, *args: Any) -> None:
        mark(log, *args)
        log.lines += said if TAPS[next(reversed(TAPS))].fault is not None else []

    monkeypatch.setattr(KernelLog, "mark", marked)
    (result,) = run_all(EACH, template=TappedTemplate()).results
    assert result.folder is not None
    table = (result.folder / "every-io.txt").read_text().splitlines()
    assert table.count("    [    1.000000] blksnap: no good") == 4
    assert not any("by the way" in line for line in table)


def test_too_few_ios_prove_nothing(run_all: RunAll) -> None:
    few = EACH.replace("least: 3", "least: 5")
    (result,) = run_all(few, template=TappedTemplate()).results
    assert result.verdict is Verdict.FAILED
    assert "there are 4 I/Os; 5 needed" in result.reason


def test_a_first_run_that_does_not_pass_is_the_result(run_all: RunAll) -> None:
    wrong = EACH + "  - expect_error: {errno: EIO, step: {read: {device: a}}}\n"
    (result,) = run_all(wrong, template=TappedTemplate()).results
    assert result.verdict is Verdict.FAILED
    assert result.folder is not None
    assert not (result.folder / "every-io.json").exists()


def test_more_than_the_limit_are_drawn_by_the_seed() -> None:
    ios = [Io("a", Op.READ, sector, 1, 1) for sector in range(50)]
    one = choose(ios, FailEach(disks=("a",), limit=10, seed=1))
    assert len(one) == 10
    assert one == sorted(one)
    assert one == choose(ios, FailEach(disks=("a",), limit=10, seed=1))
    assert one != choose(ios, FailEach(disks=("a",), limit=10, seed=2))
    assert choose(ios, FailEach(disks=("a",), limit=50, seed=2)) == ios


def test_disks_of_fail_each_are_checked() -> None:
    with pytest.raises(ScenarioError, match="there is no disk `b`"):
        parse_scenario(EACH.replace("[a, store]", "[a, b]"), "x", "x.yaml")
    with pytest.raises(ScenarioError, match="has a log"):
        parse_scenario(EACH.replace("a: {size: 1MiB}", "a: {size: 1MiB, log: true}"), "x", "x.yaml")

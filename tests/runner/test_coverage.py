"""What the module counted is kept before the guest's kernel ends."""

from __future__ import annotations

import errno
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import instrument
from lab.modbuild import BuildFacts, BuiltModule
from lab.runner.verdict import RunResult, Verdict

from .conftest import CYCLE
from .fake_guest import FakeTemplate, Misfortune


@pytest.fixture
def counting(tmp_path: Path) -> BuiltModule:
    """A module that counts."""
    folder = tmp_path / "built"
    folder.mkdir()
    (folder / instrument.NOTES).write_bytes(b"notes")
    return BuiltModule(folder, BuildFacts("key", "6.1", "gcc", ("blksnap.ko",), ()))


def test_the_counters_of_a_scenario_and_the_notes_are_kept(
    run_all: Callable[..., RunResult], counting: BuiltModule
) -> None:
    result = run_all(CYCLE, template=FakeTemplate(module=counting))
    assert result.results[0].verdict is Verdict.PASSED
    kept = result.results[0].folder / "coverage-1.z"
    assert zlib.decompress(kept.read_bytes()) == b"counters"
    assert (result.folder / "coverage-6.1.tar.gz").read_bytes() == b"notes"


def test_counters_are_read_when_the_module_is_gone_again(
    run_all: Callable[..., RunResult], counting: BuiltModule
) -> None:
    template = FakeTemplate(module=counting)
    run_all(CYCLE, template=template)
    asked = template.guests[0].asked
    last = [op for op in asked if op in ("module_unload", "coverage")]
    assert last == ["module_unload", "module_unload", "coverage"]


def test_a_module_that_does_not_count_is_not_asked(run_all: Callable[..., RunResult]) -> None:
    template = FakeTemplate()
    result = run_all(CYCLE, template=template)
    assert "coverage" not in template.guests[0].asked
    assert "blksnap_coverage" not in template.guests[0].kernel.loaded
    assert not list(result.folder.rglob("coverage*"))


def test_counters_that_cannot_be_read_are_an_error(
    run_all: Callable[..., RunResult], counting: BuiltModule
) -> None:
    misfortune = Misfortune("coverage", str(errno.EIO))
    template = FakeTemplate(module=counting, misfortunes=(misfortune,))
    (result,) = run_all(CYCLE, template=template).results
    assert result.verdict is not Verdict.PASSED
    assert result.findings[0].where == "coverage"


def test_a_guest_that_is_lost_is_not_asked(
    run_all: Callable[..., RunResult], counting: BuiltModule
) -> None:
    misfortune = Misfortune("snapshot_take", "lost")
    template = FakeTemplate(module=counting, misfortunes=(misfortune,))
    (result,) = run_all(CYCLE, template=template).results
    assert result.verdict is Verdict.LOST
    assert [finding.where for finding in result.findings if finding.where == "coverage"] == []


def test_counters_are_read_before_the_power_is_cut(
    run_all: Callable[..., RunResult], counting: BuiltModule
) -> None:
    template = FakeTemplate(module=counting)
    (result,) = run_all(f"{CYCLE}  - power_cut:\n  - boot:\n", template=template).results
    assert template.guests[0].asked[-1] == "coverage"
    assert (result.folder / "coverage-1.z").exists()

"""What `replay` reads of results, and tells gdb; no guest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

import lab.cli.replay
from lab.cli.replay import start_script, stored, told_differently
from lab.errors import UsageError
from lab.guest import sections
from lab.replay import Recording
from lab.runner.verdict import Verdict


def recording(debug_modules: Path) -> Recording:
    return Recording(
        scenario="group/name",
        verdict="failed",
        reason="why",
        qemu="QEMU 1",
        kernel=Path("/k"),
        base=Path("/b"),
        image="",
        started="2026-01-02T03:04:05",
        memory=1 << 30,
        disks=(),
        marks=(),
        end=20_000_000,
        debug_modules=debug_modules,
        module_source=Path("/m"),
    )


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no results of a scenario"):
        stored(tmp_path)


@pytest.mark.parametrize(
    ("verdict", "said"), [("failed", ""), ("passed", "the run had another verdict: failed: why")]
)
def test_a_failure_that_did_not_come_again_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, verdict: str, said: str
) -> None:
    result = SimpleNamespace(verdict=Verdict.FAILED, reason="why")
    monkeypatch.setattr(lab.cli.replay, "stored", lambda _: result)
    told = told_differently(tmp_path, replace(recording(tmp_path), verdict=verdict))
    assert told.startswith(said)
    assert bool(told) is bool(said)


def test_a_recording_that_was_moved_is_compared_with_nothing(tmp_path: Path) -> None:
    assert told_differently(tmp_path, recording(tmp_path)) == ""


def test_gdb_gets_symbols_where_the_modules_were(tmp_path: Path) -> None:
    (tmp_path / "blksnap.ko").touch()
    told = "/sys/module/blksnap/sections/.text:0xffffffffc0001000\n"
    (tmp_path / sections.FILE).write_text(told)
    lines = start_script(recording(tmp_path), tmp_path, Path("/s"), None).splitlines()
    assert f"add-symbol-file {tmp_path}/blksnap.ko 0xffffffffc0001000" in lines
    assert lines.index("target remote /s") > lines.index("set architecture i386:x86-64")

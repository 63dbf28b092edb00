"""What `replay` reads of results, and tells gdb; no guest."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.cli.replay import start_script, stored
from lab.errors import UsageError
from lab.guest import sections
from lab.replay import Recording


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no results of a scenario"):
        stored(tmp_path)


def test_gdb_gets_symbols_where_the_modules_were(tmp_path: Path) -> None:
    (tmp_path / "blksnap.ko").touch()
    told = "/sys/module/blksnap/sections/.text:0xffffffffc0001000\n"
    (tmp_path / sections.FILE).write_text(told)
    recording = Recording(
        scenario="group/name",
        verdict="failed",
        reason="why",
        qemu="QEMU 1",
        kernel=Path("/k"),
        base=Path("/b"),
        started="2026-01-02T03:04:05",
        memory=1 << 30,
        disks=(),
        marks=(),
        end=20_000_000,
        debug_modules=tmp_path,
        module_source=Path("/m"),
    )
    lines = start_script(recording, tmp_path, Path("/s"), None).splitlines()
    assert f"add-symbol-file {tmp_path}/blksnap.ko 0xffffffffc0001000" in lines
    assert lines.index("target remote /s") > lines.index("set architecture i386:x86-64")

"""What `replay` reads of results, and tells gdb; no guest."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.cli.replay import start_script, stored
from lab.errors import UsageError
from lab.guest import sections
from tests.replay.test_recording import RECORDING


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no results of a scenario"):
        stored(tmp_path)


def test_gdb_gets_symbols_where_the_modules_were(tmp_path: Path) -> None:
    (tmp_path / "blksnap.ko").touch()
    told = "/sys/module/blksnap/sections/.text:0xffffffffc0001000\n"
    (tmp_path / sections.FILE).write_text(told)
    recording = RECORDING.__class__(**{**vars(RECORDING), "debug_modules": tmp_path})
    lines = start_script(recording, tmp_path, Path("/s"), None).splitlines()
    assert f"add-symbol-file {tmp_path}/blksnap.ko 0xffffffffc0001000" in lines
    assert lines.index("target remote /s") > lines.index("set architecture i386:x86-64")

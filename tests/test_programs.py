"""Programs of the host, and what installs those that are missing."""

from pathlib import Path

import pytest

from lab import programs
from lab.errors import EnvironmentLack


def test_every_row_of_the_table_is_read() -> None:
    rows = {program.name: program for program in programs.host_programs()}
    assert rows["qemu-img"].package == "qemu-utils"
    assert rows["mmdebstrap"].purpose == "the guest's root file system"


def test_all_missing_programs_are_named_with_one_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(programs, "SBIN", ())
    with pytest.raises(EnvironmentLack) as caught:
        programs.require_programs()
    assert caught.value.remedy is not None
    needed = caught.value.remedy.split()
    for program in programs.host_programs():
        runs = program.need is programs.Need.RUNS
        assert (f"{program.name} ({program.purpose})" in caught.value.what) == runs
        assert program.package in needed or not runs
    assert "gcc" not in needed


def test_nothing_is_raised_when_all_is_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for program in programs.host_programs():
        (tmp_path / program.name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    programs.require_programs()
    assert programs.missing_programs(*programs.Need) == []


def test_a_missing_program_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "SBIN", ())
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(EnvironmentLack) as caught:
        programs.find_program("qemu-system-x86_64")
    assert "apt-get install -y --no-install-recommends qemu-system-x86" in str(caught.value)

"""The doctor tells all that is missing at once."""

from pathlib import Path

import pytest

from lab import doctor
from lab.errors import EnvironmentLack


def test_every_row_of_the_table_is_read() -> None:
    rows = {program.name: program for program in doctor.host_programs()}
    assert rows["qemu-img"].package == "qemu-utils"
    assert rows["mmdebstrap"].purpose == "the guest's root file system"


def test_all_missing_programs_are_named_with_one_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(doctor, "SBIN", ())
    with pytest.raises(EnvironmentLack) as caught:
        doctor.require_programs()
    for program in doctor.host_programs():
        assert program.name in caught.value.what
        assert caught.value.remedy is not None
        assert program.package in caught.value.remedy


def test_nothing_is_raised_when_all_is_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for program in doctor.host_programs():
        (tmp_path / program.name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    doctor.require_programs()
    assert doctor.missing_programs() == []


def test_a_full_disk_is_a_lack_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "FREE_DISK", 1 << 70)
    findings = {finding.subject: finding for finding in doctor.examine(Path("/nowhere/cache"))}
    assert findings["disk"].health is doctor.Health.LACK
    assert "BLKSNAP_LAB_CACHE" in (findings["disk"].remedy or "")


@pytest.mark.parametrize("old", [True, False])
def test_an_emulator_that_shows_few_races_is_noted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, old: bool
) -> None:
    monkeypatch.setattr(doctor, "find_program", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(doctor, "misses_patches", lambda: old)
    noted = [one for one in doctor.examine(tmp_path) if one.subject == "emulation"]
    assert [one.health for one in noted] == [doctor.Health.NOTE] * old

"""The doctor tells all that is missing at once."""

import os
import platform
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab import doctor, programs
from lab.cache import Cache
from lab.cache.tidy import KEPT
from lab.cli.main import app
from lab.programs import Need, install_command, missing_programs


def test_a_full_disk_is_a_lack_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "FREE_DISK", 1 << 70)
    findings = {finding.subject: finding for finding in doctor.examine(Path("/nowhere/cache"))}
    assert findings["disk"].health is doctor.Health.LACK
    assert "BLKSNAP_LAB_CACHE" in (findings["disk"].remedy or "")


@pytest.mark.parametrize("old", [True, False])
def test_an_emulator_that_shows_few_races_is_noted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, old: bool
) -> None:
    monkeypatch.setattr(doctor, "path_of", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(doctor, "misses_patches", lambda: old)
    noted = [one for one in doctor.examine(tmp_path) if one.subject == "emulation"]
    assert [one.health for one in noted] == [doctor.Health.NOTE] * old


@pytest.mark.parametrize(("system", "backports"), [("bookworm", True), ("noble", False)])
def test_a_newer_emulator_comes_from_where_this_system_has_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, system: str, backports: bool
) -> None:
    monkeypatch.setattr(doctor, "path_of", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(doctor, "misses_patches", lambda: True)
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: {"VERSION_CODENAME": system})
    (noted,) = (one for one in doctor.examine(tmp_path) if one.subject == "emulation")
    assert ("bookworm-backports" in (noted.remedy or "")) == backports
    assert "QEMU" in (noted.remedy or "").upper()


def with_unshare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: int, script: str) -> None:
    """This user, on a machine whose `unshare` does what a script does."""
    for name, text in {"unshare": script, "newuidmap": ""}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(os, "geteuid", lambda: user)


def image_build(cache: Path) -> doctor.Finding:
    (found,) = (one for one in doctor.examine(cache) if one.subject == "image build")
    return found


def test_a_user_with_namespaces_can_build_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_unshare(tmp_path, monkeypatch, 1000, 'echo "$@" >"${0%/*}/asked"')
    assert image_build(tmp_path).health is doctor.Health.OK
    asked = (tmp_path / "asked").read_text().split()
    assert {"--mount", "--user", "--map-auto", "true"} <= set(asked)


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("no line matching user 'me' in /etc/subuid", "usermod --add-subuids"),
        ("write failed /proc/self/uid_map: Operation not permitted", "apparmor_restrict"),
        ("unshare failed: No space left on device", "sysctl user.max_user_namespaces"),
    ],
)
def test_what_a_plain_user_lacks_is_told_with_what_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, remedy: str
) -> None:
    with_unshare(tmp_path, monkeypatch, 1000, f'echo "unshare: {said}"; exit 1')
    found = image_build(tmp_path)
    assert found.health is doctor.Health.LACK
    assert said in found.detail
    assert remedy in (found.remedy or "")


def test_root_without_namespaces_can_build_images_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_unshare(tmp_path, monkeypatch, 0, "echo Operation not permitted; exit 1")
    found = image_build(tmp_path)
    assert found.health is doctor.Health.NOTE
    assert "neither kernels nor toolboxes" in found.detail


@pytest.mark.parametrize(
    ("user", "told", "untold"), [(0, "CAP_SYS_ADMIN", "sysctl"), (1000, "sysctl", "CAP_SYS_ADMIN")]
)
def test_root_is_told_what_a_container_lacks_and_others_what_root_may_allow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: int, told: str, untold: str
) -> None:
    with_unshare(tmp_path, monkeypatch, user, "echo Operation not permitted; exit 1")
    remedy = image_build(tmp_path).remedy or ""
    assert told in remedy
    assert untold not in remedy


def test_all_that_is_missing_is_told_at_once_with_one_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(programs, "SBIN", ())
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 3
    told = [" ".join(line.split()) for line in result.output.splitlines()]
    for program in programs.host_programs():
        health = "lack" if program.need is Need.RUNS else "note"
        place = told.index(f"{health} {program.name} not here; for {program.purpose}")
        assert told[place + 1] == f"remedy: as root: {install_command(program.package)}"
    every = install_command(*(program.package for program in missing_programs(*Need)))
    assert told[-1] == f"all programs at once, as root: {every}"


def test_the_cache_is_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Cache(tmp_path).entry("modules", "key", lambda folder: (folder / "a.ko").write_bytes(b"x"))
    (found,) = (one for one in doctor.examine(tmp_path) if one.subject == "cache")
    assert f"modules 1 of {KEPT['modules']} at most" in found.detail

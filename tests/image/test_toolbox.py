"""The roots that jobs on this host run in."""

from pathlib import Path

import pytest

from lab import programs
from lab.cache import Cache
from lab.errors import EnvironmentLack
from lab.image import Recipe, toolbox


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(programs, "SBIN", ())
    with pytest.raises(EnvironmentLack, match="unshare") as caught:
        toolbox.unpack_toolbox(Recipe(), Cache(tmp_path))
    assert caught.value.remedy is not None
    assert "apt-get install" in caught.value.remedy


def test_no_namespace_is_told_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "unshare").write_text("#!/bin/sh\necho Operation not permitted; exit 1\n")
    (tmp_path / "unshare").chmod(0o755)
    (tmp_path / "setpriv").symlink_to(programs.find_program("setpriv"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentLack, match="Operation not permitted"):
        toolbox.unpack_toolbox(Recipe(), Cache(tmp_path))


def test_no_link_leads_out_of_the_root(tmp_path: Path) -> None:
    (tmp_path / "usr" / "bin").mkdir(parents=True)
    (tmp_path / "usr" / "bin" / "mawk").write_text("inside")
    link = tmp_path / "usr" / "bin" / "awk"
    link.symlink_to("/usr/bin/mawk")
    toolbox._turn_links(tmp_path)
    assert link.read_text() == "inside"
    assert not link.readlink().is_absolute()

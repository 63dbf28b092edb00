"""Files and folders of the host, as they arrive in a guest; the tests' guest is this host."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lab.errors import UsageError
from lab.pytest_plugin import copying
from lab.pytest_plugin.copying import copy_in


class Host:
    """Does here what a guest is asked for."""

    def __init__(self) -> None:
        self.longest = 0

    def run(self, argv: Sequence[str], *, input: str = "") -> None:
        self.longest = max(self.longest, len(input))
        subprocess.run(argv, input=input.encode(), check=True)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    packed = tmp_path / "packed"
    packed.write_text("left by one that failed")
    monkeypatch.setattr(copying, "PACKED", str(packed))
    yield Host()
    assert not packed.exists()


@pytest.fixture
def tool(tmp_path: Path) -> Path:
    """A tool: a program, a package that was used, and data of two pieces."""
    folder = tmp_path / "tool"
    (folder / "package/__pycache__").mkdir(parents=True)
    (folder / "package/__pycache__/x.pyc").touch()
    (folder / "package/x.py").write_text("x = 1\n")
    (folder / "run").write_text("#!/bin/sh\n")
    (folder / "run").chmod(0o750)
    (folder / "data").write_bytes(os.urandom(1 << 20))
    return folder


def test_a_folder_arrives_with_its_modes_and_without_what_was_compiled(
    host: Any, tool: Path, tmp_path: Path
) -> None:
    to = tmp_path / "guest/opt/tool"
    copy_in(host, tool, str(to))
    found = sorted(str(one.relative_to(to)) for one in to.rglob("*"))
    assert found == ["data", "package", "package/x.py", "run"]
    assert (to / "data").read_bytes() == (tool / "data").read_bytes()
    assert (to / "run").stat().st_mode & 0o777 == 0o750
    assert 500_000 < host.longest < 1_000_000, "a request has a line of at most 1 MiB"


def test_a_file_arrives_where_it_is_to_be_and_a_folder_there_stays_what_it_was(
    host: Any, tool: Path, tmp_path: Path
) -> None:
    to = tmp_path / "guest/root"
    to.mkdir(parents=True, mode=0o700)
    (to / "mine").touch()
    copy_in(host, tool / "package/x.py", f"{to}/y.py")
    (tmp_path / "packed").touch()
    copy_in(host, tool / "package", str(to))
    assert sorted(one.name for one in to.iterdir()) == ["mine", "x.py", "y.py"]
    assert (to / "y.py").read_text() == "x = 1\n"
    assert to.stat().st_mode & 0o777 == 0o700


def test_a_link_to_a_folder_in_the_guest_stays_one(host: Any, tool: Path, tmp_path: Path) -> None:
    (tmp_path / "guest/usr/bin").mkdir(parents=True)
    (tmp_path / "guest/bin").symlink_to("usr/bin")
    copy_in(host, tool / "package", f"{tmp_path}/guest/bin")
    assert (tmp_path / "guest/bin").is_symlink()
    assert (tmp_path / "guest/usr/bin/x.py").exists()


def test_of_a_link_arrives_what_it_leads_to(host: Any, tool: Path, tmp_path: Path) -> None:
    (tmp_path / "link.py").symlink_to(tool / "package/x.py")
    copy_in(host, tmp_path / "link.py", f"{tmp_path}/guest/y.py")
    assert (tmp_path / "guest/y.py").read_text() == "x = 1\n"
    assert not (tmp_path / "guest/y.py").is_symlink()


def test_no_file_takes_the_place_of_a_folder(tool: Path, tmp_path: Path) -> None:
    (tmp_path / "mnt").mkdir()
    with pytest.raises(subprocess.CalledProcessError):
        copy_in(Host(), tool / "run", f"{tmp_path}/mnt")  # type: ignore[arg-type]
    assert (tmp_path / "mnt").is_dir()


@pytest.mark.parametrize("to", ["tool", "root/tool", "/", "/root/"])
def test_it_is_told_by_its_whole_path(to: str, tool: Path) -> None:
    with pytest.raises(UsageError, match=f"{to} is no whole path") as caught:
        copy_in(Host(), tool, to)  # type: ignore[arg-type]
    assert caught.value.remedy == "e.g. /root/tool"


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"there is no {tmp_path}/nosuch"):
        copy_in(Host(), tmp_path / "nosuch", "/root/x")  # type: ignore[arg-type]

"""`dump`: what it needs is looked at first, and a dump that was not finished is not left."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import Result
from typer.testing import CliRunner

from lab.cli import dump
from lab.cli.main import app
from lab.errors import EnvironmentLack, LabError
from lab.guest.kept import FACTS, NotKept


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that looks like a kept guest; there is a cache for its keys."""
    monkeypatch.setenv("BLKSNAP_LAB_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "kept"
    folder.mkdir()
    (folder / FACTS).touch()
    return folder


def dumped(kept: Path, file: Path) -> Result:
    return CliRunner().invoke(app, ["dump", str(kept), str(file)])


def test_a_folder_without_a_kept_guest_is_refused_before_keys_are_made(
    kept: Path, tmp_path: Path
) -> None:
    done = dumped(kept.parent / "nosuch", tmp_path / "memory")
    assert isinstance(done.exception, NotKept)
    assert not (tmp_path / "cache").exists()


def test_programs_are_looked_for_before_keys_are_made(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.programs.path_of", lambda _name: None)
    done = dumped(kept, tmp_path / "memory")
    assert isinstance(done.exception, EnvironmentLack)
    assert done.exception.what.startswith("not installed on this machine: ")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("ended", [KeyboardInterrupt, LabError("no space")])
def test_a_dump_that_was_not_finished_is_removed(
    ended: BaseException, kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextlib.contextmanager
    def opened(*_arguments: object) -> Iterator[object]:
        yield SimpleNamespace(machine=None)

    def begun(_machine: object, path: Path) -> None:
        path.write_text("half")
        raise ended

    monkeypatch.setattr(dump, "machine_keys", lambda _cache: None)
    monkeypatch.setattr("lab.programs.path_of", lambda name: name)
    monkeypatch.setattr(dump, "open_kept", opened)
    monkeypatch.setattr(dump, "dump_memory", begun)
    done = dumped(kept, tmp_path / "memory")
    assert done.exit_code != 0
    assert not (tmp_path / "memory").exists()

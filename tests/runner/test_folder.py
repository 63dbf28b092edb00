"""Folders of runs; one that cannot be written in is bad usage, and a full disk is a lack."""

import errno
import os
from pathlib import Path

import pytest

from lab.errors import UsageError
from lab.runner import folder
from lab.runner.folder import LATEST, HostDiskFull, new_run_folder


@pytest.mark.parametrize(
    ("results", "wrong"),
    [
        ("file", "it is no folder"),
        ("file/below", "it cannot be made: Not a directory"),
        ("/proc/nosuch", "it cannot be made: No such file or directory"),
    ],
)
def test_results_that_cannot_be_written_are_bad_usage(
    results: str, wrong: str, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("no folder")
    with pytest.raises(UsageError) as caught:
        new_run_folder(tmp_path / results)
    assert caught.value.what == f"--results {tmp_path / results}: {wrong}"
    assert caught.value.remedy == "name a folder of yours"
    assert file.read_text() == "no folder"


def test_results_that_nobody_may_write_in_are_bad_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # which root may always
    with pytest.raises(UsageError, match="it cannot be written in"):
        new_run_folder(tmp_path)


def test_a_full_disk_is_something_the_machine_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "LEAST_FREE", 1 << 60)
    with pytest.raises(HostDiskFull, match="is full"):
        new_run_folder(tmp_path)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(HostDiskFull, match="is full"):
        new_run_folder(tmp_path / "new")


def test_runs_begun_in_one_second_have_folders_of_their_own(tmp_path: Path) -> None:
    first, second = new_run_folder(tmp_path), new_run_folder(tmp_path)
    assert first.path != second.path
    assert (tmp_path / LATEST).resolve() == second.path

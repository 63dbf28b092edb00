"""Folders of runs; one that cannot be written in is bad usage, and a full disk is a lack."""

import errno
import os
import stat
from pathlib import Path

import pytest

from lab.errors import UsageError
from lab.runner import folder
from lab.runner.folder import LATEST, HostDiskFull, new_run_folder, write_whole


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


def test_a_file_that_a_link_leads_to_is_replaced_and_not_the_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "page", tmp_path / "link"
    target.write_text("old")
    link.symlink_to("there/page")
    write_whole(link, b"new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["link", "page", "there"]


@pytest.mark.parametrize("name", ["pipe", "link"])
def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path, name: str) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to(pipe)
    # Held open at this end, so that neither side waits for the other.
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_whole(tmp_path / name, b"all of it")
        assert os.read(reader, 100) == b"all of it"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_pipe_without_a_name_is_written_to() -> None:
    reader, writer = os.pipe()
    try:
        write_whole(Path(f"/proc/self/fd/{writer}"), b"as /dev/stdout")
        assert os.read(reader, 100) == b"as /dev/stdout"
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes device nodes")
def test_a_device_is_written_to_and_stays_one(tmp_path: Path) -> None:
    null = tmp_path / "null"
    try:
        os.mknod(null, stat.S_IFCHR | 0o600, os.makedev(1, 3))
        null.write_bytes(b"")
    except OSError as error:
        pytest.skip(f"no device node can be made or used here: {error.strerror}")
    write_whole(null, b"gone")
    assert stat.S_ISCHR(null.stat().st_mode)


def test_a_file_that_is_cut_off_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_from: Path, _to: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "page", b"half")
    assert list(tmp_path.iterdir()) == []

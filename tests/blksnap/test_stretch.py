"""Storage that grows as it is asked for: files of its own only, and for as long as the snapshot."""

from __future__ import annotations

import ctypes
import errno
import uuid
from pathlib import Path
from typing import Any

import pytest

from lab.blksnap import BlksnapError, Control, Device, FileRanges, SectorRange, snapshot
from lab.blksnap.results import LowFreeSpaceEvent
from lab.blksnap.snapshot import Snapshot
from lab.blksnap.stretch import Stretch, stretched

from .fake import FakeNode, array_at

ID = uuid.UUID("12345678-1234-5678-1234-567812345678")
ASKED = 8


@pytest.fixture(autouse=True)
def files(monkeypatch: pytest.MonkeyPatch) -> None:
    def allocate(path: Path, size: int) -> FileRanges:
        path.write_bytes(bytes(size))
        return FileRanges(Device(254, 0), (SectorRange(0, size // 512),), size, 0)

    monkeypatch.setattr(snapshot, "allocate", allocate)


def low_space() -> LowFreeSpaceEvent:
    return LowFreeSpaceEvent(time_ns=0, requested_sectors=ASKED)


def test_a_file_that_is_there_already_is_let_be(tmp_path: Path) -> None:
    (tmp_path / "diff-0000").write_text("another snapshot's")
    node = FakeNode(snapshot_append_storage=lambda argument: 0)
    held = Stretch(Snapshot(node, ID), tmp_path)
    with pytest.raises(FileExistsError):
        held.answer(low_space())
    held.remove_files()
    assert (tmp_path / "diff-0000").read_text() == "another snapshot's"
    assert node.calls == []


@pytest.mark.parametrize("stays", [False, True])
def test_the_files_go_if_the_snapshot_has_gone(tmp_path: Path, stays: bool) -> None:
    def create(argument: Any) -> int:
        argument.id[:] = ID.bytes
        return 0

    def wait(argument: Any) -> int:
        raise OSError(errno.ENOENT, "none")

    def images(argument: Any) -> int:
        argument.count = 0
        return 0

    def destroy(argument: Any) -> int:
        if stays:
            raise OSError(errno.EIO, "refused")
        return 0

    def collect(argument: Any) -> int:
        if argument.ids:
            array_at(argument.ids, ctypes.c_uint8, 16)[:] = ID.bytes
        argument.count = int(stays)
        return 0

    control = Control.__new__(Control)
    control.node = FakeNode(
        snapshot_create=create,
        snapshot_append_storage=lambda argument: 0,
        snapshot_take=lambda argument: 0,
        snapshot_collect_images=images,
        snapshot_wait_event=wait,
        snapshot_destroy=destroy,
        snapshot_collect=collect,
    )

    def hold() -> None:
        with stretched(control, ["254:0"], tmp_path) as held:
            held.answer(low_space())
            assert (tmp_path / "diff-0000").stat().st_size == ASKED * 512

    if stays:
        with pytest.raises(BlksnapError):
            hold()
    else:
        hold()
    assert (tmp_path / "diff-0000").exists() == stays

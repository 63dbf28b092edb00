"""The example for authors of backup tools, against a node that plays the module."""

from __future__ import annotations

import ctypes
import errno
import importlib.util
import os
import signal
import uuid
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lab.blksnap import (
    BlksnapError,
    Control,
    Device,
    FileRanges,
    ImageInfo,
    SectorRange,
    abi,
    control,
    snapshot,
)

from .fake import FakeNode, array_at

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/backup.py"
ID = uuid.UUID("12345678-1234-5678-1234-567812345678")
DEVICE = Device(254, 16)
BLOCK = 65536
BLOCKS = 4


class Module:
    """What there is of the module: an image, a map, its generation and number."""

    def __init__(self, image: Path) -> None:
        self.image = image
        self.map = bytes(BLOCKS)
        self.generation = uuid.uuid4()
        self.number = 0
        self.held = False
        self.refuses = 0
        self.stays = False
        self.node = FakeNode(
            snapshot_create=self._create,
            snapshot_append_storage=lambda argument: 0,
            snapshot_take=self._take,
            snapshot_collect_images=self._images,
            snapshot_destroy=self._destroy,
            snapshot_collect=self._collect,
            tracker_collect=self._trackers,
            tracker_read_cbt_map=self._read,
        )

    def _create(self, argument: Any) -> int:
        if self.refuses:
            raise OSError(self.refuses, "refused")
        argument.id[:] = ID.bytes
        self.held = True
        return 0

    def _destroy(self, argument: Any) -> int:
        if self.stays:
            raise OSError(errno.EBUSY, "refused")
        self.held = False
        return 0

    def _collect(self, argument: Any) -> int:
        if argument.ids and self.held:
            array_at(argument.ids, ctypes.c_uint8, 16)[:] = ID.bytes
        argument.count = int(self.held)
        return 0

    def _take(self, argument: Any) -> int:
        self.number += 1
        return 0

    def _images(self, argument: Any) -> int:
        if argument.image_info_array:
            (record,) = array_at(argument.image_info_array, abi.blk_snap_image_info, 1)
            record.orig_dev_id = DEVICE.to_abi()
        argument.count = 1
        return 0

    def _trackers(self, argument: Any) -> int:
        if argument.cbt_info_array:
            (record,) = array_at(argument.cbt_info_array, abi.blk_snap_cbt_info, 1)
            record.dev_id = DEVICE.to_abi()
            record.blk_size, record.blk_count = BLOCK, BLOCKS
            record.device_capacity = BLOCK * BLOCKS
            record.generation_id[:] = self.generation.bytes
            record.snap_number = self.number
        argument.count = 1
        return 0

    def _read(self, argument: Any) -> int:
        piece = self.map[argument.offset : argument.offset + argument.length]
        array_at(argument.buff, ctypes.c_uint8, len(piece))[:] = piece
        return len(piece)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Module:
    image = tmp_path / "image"
    image.write_bytes(os.urandom(BLOCK * BLOCKS))
    monkeypatch.setattr(ImageInfo, "path", str(image))

    def allocate(path: Path, size: int) -> FileRanges:
        path.touch()
        return FileRanges(DEVICE, (SectorRange(0, size // 512),), size, 0)

    monkeypatch.setattr(snapshot, "allocate", allocate)
    return Module(image)


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("backup_example", EXAMPLE)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def copied(example: ModuleType, module: Module, target: Path) -> int:
    control = Control.__new__(Control)
    control.node = module.node
    storage = target.with_name("diff")
    count: int = example.backup(control, "254:16", target, storage, 1 << 20)
    assert not storage.exists()
    assert not module.held
    return count


def test_the_first_backup_is_a_full_one_and_the_next_has_what_changed(
    example: ModuleType, module: Module, tmp_path: Path
) -> None:
    target = tmp_path / "backup"
    assert copied(example, module, target) == BLOCK * BLOCKS
    assert target.read_bytes() == module.image.read_bytes()
    with module.image.open("r+b") as image:
        image.seek(2 * BLOCK)
        image.write(os.urandom(BLOCK))
    module.map = bytes([0, 1, 2, 0])
    assert copied(example, module, target) == BLOCK
    assert target.read_bytes() == module.image.read_bytes()


def test_a_new_generation_means_a_full_one(
    example: ModuleType, module: Module, tmp_path: Path
) -> None:
    copied(example, module, tmp_path / "backup")
    module.generation, module.number = uuid.uuid4(), 0
    assert copied(example, module, tmp_path / "backup") == BLOCK * BLOCKS


def test_one_that_is_cut_short_is_not_gone_on_from(
    example: ModuleType, module: Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "backup"
    copied(example, module, target)
    content = module.image.read_bytes()
    module.image.write_bytes(content[:BLOCK])  # as if reading it failed
    module.map = bytes([2] * BLOCKS)
    with pytest.raises(OSError, match="ends at byte"):
        copied(example, module, target)
    module.image.write_bytes(content)
    assert copied(example, module, target) == BLOCK * BLOCKS


def test_storage_that_is_there_already_is_let_be(
    example: ModuleType, module: Module, tmp_path: Path
) -> None:
    (tmp_path / "diff").write_text("somebody's")
    with pytest.raises(FileExistsError):
        copied(example, module, tmp_path / "backup")
    assert (tmp_path / "diff").read_text() == "somebody's"
    assert module.node.calls == []


def test_of_a_refused_snapshot_no_storage_is_left(
    example: ModuleType, module: Module, tmp_path: Path
) -> None:
    module.refuses = errno.EALREADY
    with pytest.raises(BlksnapError, match="snapshot_create"):
        copied(example, module, tmp_path / "backup")
    assert not (tmp_path / "diff").exists()


def test_storage_stays_as_long_as_its_snapshot(
    example: ModuleType, module: Module, tmp_path: Path
) -> None:
    module.stays = True
    with pytest.raises(BlksnapError, match="snapshot_destroy"):
        copied(example, module, tmp_path / "backup")
    assert (tmp_path / "diff").exists()


def test_a_state_that_was_cut_off_means_a_full_one(
    example: ModuleType, module: Module, tmp_path: Path
) -> None:
    copied(example, module, tmp_path / "backup")
    (tmp_path / "backup.json").write_text("")
    assert copied(example, module, tmp_path / "backup") == BLOCK * BLOCKS


def test_of_one_that_is_told_to_end_nothing_is_left(
    example: ModuleType, module: Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told_to_end(argument: Any) -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        return 0

    module.node.handlers["snapshot_take"] = told_to_end
    monkeypatch.setattr(control, "Node", lambda path: module.node)
    target, storage = str(tmp_path / "backup"), tmp_path / "diff"
    monkeypatch.setattr("sys.argv", ["backup.py", "254:16", target, "--storage", str(storage)])
    # If the example has no handler of its own, the test is red, and not ended.
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with pytest.raises(SystemExit) as caught:
            example.main()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert caught.value.code == 128 + signal.SIGTERM
    assert not module.held
    assert not storage.exists()


def test_the_page_has_the_example_as_it_is() -> None:
    page = (EXAMPLE.parents[1] / "docs/backup-tools.md").read_text(encoding="utf-8")
    assert f"```python\n{EXAMPLE.read_text(encoding='utf-8').rstrip()}\n```" in page

"""File systems in crash states: what a replay mends is fine, what it cannot mend is told."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from lab.filedata import content, file_name
from lab.process import run
from lab.runner.hostfs import FilePromise, complaints
from lab.units import MIB

PROMISE = FilePromise("a", "files", count=3, size=5000, seed=4, since=0)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A file system with the promised files."""
    folder = tmp_path / "root" / "files"
    folder.mkdir(parents=True)
    for index in range(PROMISE.count):
        data = b"".join(content(PROMISE.seed, index, PROMISE.size))
        (folder / file_name(index)).write_bytes(data)
    path = tmp_path / "fs.img"
    with path.open("xb") as file:
        file.truncate(8 * MIB)
    run(["mke2fs", "-q", "-t", "ext4", "-d", str(folder.parent), str(path)], timeout=60)
    return path


def test_a_whole_file_system_has_no_complaints(image: Path) -> None:
    assert complaints(image, [PROMISE]) == []


def test_a_mark_of_orphans_without_orphans_is_fine(image: Path) -> None:
    """The mark is set before the first orphan is noted; newer mke2fs make a file for them."""
    run(["tune2fs", "-O", "orphan_file", str(image)], timeout=60)
    run(["debugfs", "-w", "-R", "feature orphan_present", str(image)], timeout=60)
    assert complaints(image, [PROMISE]) == []


def test_a_file_that_is_not_there(image: Path) -> None:
    (wrong,) = complaints(image, [replace(PROMISE, count=4)])
    assert "f000003" in wrong
    assert "is not there" in wrong


def test_a_folder_that_is_not_there(image: Path) -> None:
    assert len(complaints(image, [replace(PROMISE, folder="others")])) == 3


def test_files_with_other_content(image: Path) -> None:
    assert len(complaints(image, [replace(PROMISE, seed=5)])) == 3


def test_damage_is_told(image: Path) -> None:
    data = bytearray(image.read_bytes())
    data[1024 + 56 : 1024 + 58] = b"\0\0"
    image.write_bytes(data)
    assert complaints(image, [PROMISE])


def test_an_inode_table_of_zeros_is_told(image: Path) -> None:
    said = run(["dumpe2fs", str(image)], timeout=60)
    table, block = re.search(r"Inode table at (\d+)", said), re.search(r"Block size: +(\d+)", said)
    assert table is not None
    assert block is not None
    first, size = int(table[1]), int(block[1])
    with image.open("r+b") as file:
        file.seek(first * size)
        file.write(bytes(size * 2))
    assert complaints(image, [])


@pytest.mark.parametrize(
    ("since", "until", "entries", "holds"),
    [(5, None, 4, False), (5, None, 5, True), (5, 8, 8, True), (5, 8, 9, False)],
)
def test_promises_hold_for_a_time(since: int, until: int | None, entries: int, holds: bool) -> None:
    assert replace(PROMISE, since=since, until=until).holds_after(entries) is holds

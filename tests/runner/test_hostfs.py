"""File systems in crash states: what a replay mends is fine, what it cannot mend is told."""

from __future__ import annotations

import re
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.filedata import content, file_name
from lab.process import run
from lab.runner.hostfs import FilePromise, block_names, complaints, journal_of
from lab.units import KIB, MIB, SECTOR

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


def test_a_file_that_was_being_made_longer_is_fine(image: Path) -> None:
    """It is among the orphans until its write has ended; a mount cuts off what is behind."""
    said = run(["debugfs", "-R", f"stat files/{file_name(0)}", str(image)], timeout=60)
    inode = re.search(r"Inode: (\d+)", said)
    assert inode is not None
    set_it = f"set_super_value last_orphan {inode[1]}"
    run(["debugfs", "-w", "-R", set_it, str(image)], timeout=60)
    assert complaints(image, [PROMISE]) == []


def test_a_file_that_was_being_made_longer_may_keep_more_blocks_for_its_map_than_it_needs(
    image: Path, tmp_path: Path
) -> None:
    data = tmp_path / "pieces"
    with data.open("xb") as file:
        for number in range(8):
            file.seek(number * 8 * KIB)
            file.write(b"x" * 4 * KIB)
    for command in (
        f"write {data} pieces",
        f"set_inode_field pieces size {12 * KIB}",
    ):
        run(["debugfs", "-w", "-R", command, str(image)], timeout=60)
    said = run(["debugfs", "-R", "stat pieces", str(image)], timeout=60)
    inode = re.search(r"Inode: (\d+)", said)
    assert inode is not None
    set_it = f"set_super_value last_orphan {inode[1]}"
    run(["debugfs", "-w", "-R", set_it, str(image)], timeout=60)
    assert complaints(image, [PROMISE]) == []


@pytest.mark.parametrize("marked", [True, False])
def test_a_file_of_orphans_is_emptied_if_it_is_marked(image: Path, marked: bool) -> None:
    run(["tune2fs", "-O", "^metadata_csum", str(image)], timeout=60)
    run(["tune2fs", "-O", "orphan_file", str(image)], timeout=60)
    said = run(["dumpe2fs", "-h", str(image)], timeout=60)
    holder = re.search(r"Orphan file inode:\s+(\d+)", said)
    size = re.search(r"Block size:\s+(\d+)", said)
    stat = run(["debugfs", "-R", f"stat files/{file_name(0)}", str(image)], timeout=60)
    inode = re.search(r"Inode: (\d+)", stat)
    assert holder is not None and size is not None and inode is not None
    blocks = run(["debugfs", "-R", f"blocks <{holder[1]}>", str(image)], timeout=60)
    with image.open("r+b") as file:
        file.seek(int(blocks.splitlines()[-1].split()[0]) * int(size[1]))
        file.write(struct.pack("<I", int(inode[1])))
    if marked:
        run(["debugfs", "-w", "-R", "feature orphan_present", str(image)], timeout=60)
    wrong = complaints(image, [PROMISE])
    assert wrong == [] if marked else "is not clean" in wrong[0]


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


def super_block(image: Path) -> int:
    """The byte that the journal's super block is at."""
    said = run(["debugfs", "-R", "bmap <8> 0", str(image)], timeout=60)
    return int(said.split()[-1]) * 1024


def test_a_journal_is_all_its_blocks_but_the_super_block(image: Path) -> None:
    found = journal_of(image)
    assert found is not None
    assert (found.block, len(found.blocks)) == (1024, 1023)
    assert super_block(image) // 1024 + 1 in found.blocks
    assert super_block(image) // 1024 not in found.blocks


@pytest.mark.parametrize("feature", [0x4, 0x20])
def test_a_journal_that_commits_its_own_way_is_none(image: Path, feature: int) -> None:
    with image.open("r+b") as file:
        file.seek(super_block(image) + 40)
        file.write(struct.pack(">I", 0x10))
        assert journal_of(image) is not None
        file.seek(super_block(image) + 40)
        file.write(struct.pack(">I", 0x10 | feature))
    assert journal_of(image) is None


def test_what_is_no_ext4_or_has_no_journal_has_none(image: Path) -> None:
    run(["tune2fs", "-O", "^has_journal", str(image)], timeout=60)
    assert journal_of(image) is None
    image.write_bytes(bytes(1 * MIB))
    assert journal_of(image) is None


def test_a_journal_is_found_also_where_checksums_are_not_right_before_its_replay(
    image: Path,
) -> None:
    found = journal_of(image)
    said = run(["dumpe2fs", str(image)], timeout=60)
    bitmap = re.search(r"Block bitmap at (\d+)", said)
    assert bitmap is not None
    with image.open("r+b") as file:
        file.seek(int(bitmap[1]) * 1024 + 5)
        file.write(b"\0\0")
    assert "not open" in run(["debugfs", "-R", "blocks <8>", str(image)], timeout=60)
    assert journal_of(image) == found


def test_a_journal_that_cannot_be_found_is_an_error(image: Path) -> None:
    with image.open("r+b") as file:
        file.truncate(4096)
    with pytest.raises(LabError, match="cannot tell where the journal"):
        journal_of(image)


def test_blocks_of_promised_files_are_known_by_any_of_their_sectors() -> None:
    names = block_names([PROMISE])
    assert len(names) == 6
    last = b"".join(content(PROMISE.seed, 2, 5000))
    assert names[last[3 * SECTOR : 4 * SECTOR]] == "block 0 of files/f000002"
    assert names[last[4096:][:SECTOR]] == "block 1 of files/f000002"

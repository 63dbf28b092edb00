"""Files as storage: where they lie, and which ones are refused."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.blksnap import BlksnapError, SectorRange, UnfitFileError, allocate, fiemap


def extent(logical: int, physical: int, length: int, flags: int = 0) -> fiemap.fiemap_extent:
    return fiemap.fiemap_extent(
        fe_logical=logical, fe_physical=physical, fe_length=length, fe_flags=flags
    )


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A file of 16 KiB on a file system of its own, wherever the test runs."""
    path = tmp_path / "file"
    path.write_bytes(bytes(16384))
    real = os.fstat

    def placed(fd: int) -> Any:
        status = list(real(fd))
        status[2] = os.makedev(254, 3)
        return os.stat_result(status)

    monkeypatch.setattr(fiemap.os, "fstat", placed)
    fd = os.open(path, os.O_RDONLY)
    yield fd
    os.close(fd)


def with_extents(monkeypatch: pytest.MonkeyPatch, *extents: fiemap.fiemap_extent) -> None:
    def found(fd: int, name: str, size: int) -> Iterator[fiemap.fiemap_extent]:
        for one in extents:
            fiemap._refuse_unfit(one, name)
            yield one

    monkeypatch.setattr(fiemap, "_extents", found)


def test_touching_extents_are_joined(file: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with_extents(
        monkeypatch, extent(0, 40960, 4096), extent(4096, 45056, 4096), extent(8192, 4096, 8192)
    )
    found = fiemap.locate(file, "file")
    assert str(found.device) == "254:3"
    assert found.ranges == (SectorRange(80, 16), SectorRange(8, 16))
    assert found.lost == 0


def test_parts_that_are_not_aligned_on_disk_are_left_out(
    file: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_extents(monkeypatch, extent(0, 1024, 16384))
    found = fiemap.locate(file, "file")
    assert found.ranges == (SectorRange(8, 24),)
    assert found.lost == 4096


@pytest.mark.parametrize("flag", [0x2, 0x4, 0x8, 0x80, 0x100, 0x200, 0x400, 0x2000])
def test_blocks_that_are_not_the_files_own_are_refused(
    file: int, monkeypatch: pytest.MonkeyPatch, flag: int
) -> None:
    with_extents(monkeypatch, extent(0, 4096, 16384, flag))
    with pytest.raises(UnfitFileError, match="its extent at byte 0"):
        fiemap.locate(file, "file")


def test_preallocated_blocks_are_welcome(file: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with_extents(monkeypatch, extent(0, 4096, 16384, 0x800))
    assert fiemap.locate(file, "file").ranges == (SectorRange(8, 32),)


@pytest.mark.parametrize("extents", [(), ((8192, 8192),), ((0, 4096), (8192, 8192)), ((0, 8192),)])
def test_a_file_with_holes_is_refused(
    file: int, monkeypatch: pytest.MonkeyPatch, extents: tuple[tuple[int, int], ...]
) -> None:
    with_extents(
        monkeypatch, *(extent(start, 1 << 20 | start, length) for start, length in extents)
    )
    with pytest.raises(UnfitFileError, match="hole"):
        fiemap.locate(file, "file")


def test_what_is_no_file_is_refused_by_an_os_error_that_names_it(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(BlksnapError, match=r"folder: EOPNOTSUPP: .*no regular") as caught:
            fiemap.locate(fd, "folder")
        assert isinstance(caught.value, UnfitFileError)
    finally:
        os.close(fd)


@pytest.mark.parametrize("size", [-4096, 0, 4097])
def test_sizes_must_be_whole_pages(tmp_path: Path, size: int) -> None:
    with pytest.raises(ValueError, match=f"size {size} is no multiple"):
        allocate(tmp_path / "file", size)
    assert not (tmp_path / "file").exists()


def test_a_file_that_is_not_there_is_made_only_with_a_size(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="mistyped"):
        allocate(tmp_path / "mistyped")
    assert not (tmp_path / "mistyped").exists()


def test_an_empty_file_has_no_block_to_give(file: int, monkeypatch: pytest.MonkeyPatch) -> None:
    os.truncate(f"/proc/self/fd/{file}", 0)
    with_extents(monkeypatch)
    with pytest.raises(UnfitFileError, match="no whole block of 4096 bytes"):
        fiemap.locate(file, "file")


def test_the_structures_are_those_of_the_kernel() -> None:
    assert ctypes.sizeof(fiemap.fiemap_header) == 32
    assert ctypes.sizeof(fiemap.fiemap_extent) == 56
    assert fiemap.fiemap_request.extents.offset == 32
    assert fiemap.FS_IOC_FIEMAP == 0xC020660B
    assert fiemap.FS_IOC_FSGETXATTR == 0x801C581F


def test_a_real_file_lies_somewhere(tmp_path: Path) -> None:
    path = tmp_path / "diff"
    try:
        found = allocate(path, 1 << 20)
    except (UnfitFileError, OSError) as error:
        pytest.skip(f"the file system of {tmp_path} does not serve: {error}")
    assert sum(one.count for one in found.ranges) == (1 << 20) // 512
    assert all(one.sector % 8 == 0 and one.count % 8 == 0 for one in found.ranges)
    assert path.stat().st_size >= 1 << 20
    # A second look, at the file as it is, finds the same place.
    assert allocate(path).ranges == found.ranges


@pytest.mark.parametrize("kind", ["f2fs", "nilfs2", "bcachefs"])
def test_a_file_system_that_moves_blocks_is_unfit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(4096))
    monkeypatch.setattr(fiemap, "_file_system", lambda device: kind)
    monkeypatch.setattr(fiemap.os, "major", lambda device: 254)
    with file.open("rb") as opened, pytest.raises(UnfitFileError, match=f"{kind} moves the blocks"):
        fiemap.locate(opened.fileno(), str(file))


def test_nothing_is_preallocated_where_it_is_of_no_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fiemap.os, "major", lambda device: 0)
    monkeypatch.setattr(fiemap, "fallocate", lambda *_: pytest.fail("tmpfs is memory"))
    with pytest.raises(UnfitFileError, match="one block device by itself"):
        allocate(tmp_path / "file", 1 << 30)


def test_mounts_may_have_any_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    listed = tmp_path / "mountinfo"
    listed.write_bytes(
        b"36 35 8:1 / /mnt/\xfcber rw shared:1 - f2fs /dev/sda1 rw\n"
        b"37 35 8:2 / /mnt/a\xe2\x80\xa8b\x85\rc rw - ext4 /dev/sda2 rw\n"
    )
    monkeypatch.setattr(fiemap, "_MOUNTS", listed)
    assert fiemap._file_system(os.makedev(8, 1)) == "f2fs"
    assert fiemap._file_system(os.makedev(8, 2)) == "ext4"
    assert fiemap._file_system(os.makedev(8, 3)) == ""


def test_the_file_system_of_a_device_is_what_is_mounted() -> None:
    listed = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    root = next(line for line in listed if line.split()[4] == "/")
    assert fiemap._file_system(Path("/").stat().st_dev) == root.partition(" - ")[2].split()[0]
    assert fiemap._file_system(os.makedev(250, 250)) == ""

"""Disks read on the host: every sector, holes as zeros, nothing skipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import stamp
from lab.model.seen import SeenKind
from lab.runner import hostscan
from lab.units import MIB

SIZE = 64 * MIB


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "a.raw"
    with path.open("wb") as file:
        file.truncate(SIZE)
        file.seek(5 * 512)
        file.write(stamp.build(1, 5, 20_000, 7))
        file.seek(SIZE - 512)
        file.write(stamp.build(2, SIZE // 512 - 1, 1, 9))
    return path


def test_all_sectors_are_seen_in_order_and_joined(disk: Path) -> None:
    seen = hostscan.scan_file(disk, SIZE)
    last = SIZE // 512 - 1
    assert [(one.sector, one.count, one.kind, one.seq) for one in seen] == [
        (0, 5, SeenKind.ZERO, 0),
        (5, 20_000, SeenKind.STAMP, 7),
        (20_005, last - 20_005, SeenKind.ZERO, 0),
        (last, 1, SeenKind.STAMP, 9),
    ]


def test_one_wrong_byte_is_seen(disk: Path) -> None:
    with disk.open("r+b") as file:
        file.seek(300 * 512 + 77)
        file.write(b"!")
    (bad,) = (one for one in hostscan.scan_file(disk, SIZE) if one.kind is SeenKind.GARBAGE)
    assert (bad.sector, bad.count) == (300, 1)


def test_a_huge_empty_disk_is_one_run(tmp_path: Path) -> None:
    path = tmp_path / "huge.raw"
    with path.open("wb") as file:
        file.truncate(1 << 42)
    assert [one.count for one in hostscan.scan_file(path, 1 << 42)] == [1 << 33]


def test_only_raw_files_are_read_here(disk: Path, tmp_path: Path) -> None:
    assert hostscan.readable(disk)
    assert not hostscan.readable(tmp_path / "a.qcow2")

"""The counters that a guest showed."""

import struct
import zlib
from pathlib import Path

import pytest

from lab.coverage.readings import counter_files, read_counters
from lab.errors import LabError


def packed(**files: bytes) -> bytes:
    return b"".join(
        struct.pack("<II", len(name), len(content)) + name.encode() + content
        for name, content in files.items()
    )


def test_files_come_out_as_they_went_in(tmp_path: Path) -> None:
    path = tmp_path / "coverage-1.z"
    path.write_bytes(zlib.compress(packed(a=b"one", empty=b"", c=b"\0\1")))
    assert read_counters(path) == {"a": b"one", "empty": b"", "c": b"\0\1"}


@pytest.mark.parametrize("content", [b"", b"nonsense", zlib.compress(packed(a=b"one")[:-1])])
def test_damage_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "coverage-1.z"
    path.write_bytes(content)
    with pytest.raises(LabError, match=r"coverage-1\.z"):
        read_counters(path)


def test_every_boot_and_every_run_of_a_scenario_counts(tmp_path: Path) -> None:
    for name in ("coverage-1.z", "coverage-2.z", "io-001/coverage-1.z", "figures.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    names = [path.relative_to(tmp_path).as_posix() for path in counter_files(tmp_path)]
    assert names == ["coverage-1.z", "coverage-2.z", "io-001/coverage-1.z"]

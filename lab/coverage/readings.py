"""The counters that a guest showed: files for gcov, one after the other.

Each is preceded by the lengths of its name and its content, u32 in the order of bytes of x86, and
its name (lab/data/coverage/blksnap_coverage.c).
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from lab.errors import LabError

_HEAD = struct.Struct("<II")


def read_counters(path: Path) -> dict[str, bytes]:
    """The files by their names in the guest. LabError if it is damaged."""
    try:
        content = zlib.decompress(path.read_bytes())
        return dict(_files(content))
    except (OSError, zlib.error, struct.error, ValueError) as error:
        raise LabError(f"the counters in {path} cannot be read: {error}") from error


def _files(content: bytes) -> list[tuple[str, bytes]]:
    found = []
    at = 0
    while at < len(content):
        name, size = _HEAD.unpack_from(content, at)
        at += _HEAD.size
        if at + name + size > len(content):
            raise ValueError("it ends too early")
        found.append((content[at : at + name].decode(), content[at + name : at + name + size]))
        at += name + size
    return found


def counter_files(folder: Path) -> list[Path]:
    """All that a scenario kept: of each boot, and of each run if it was run for each I/O."""
    return sorted(folder.rglob("coverage-*.z"))

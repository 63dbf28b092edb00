"""Sizes: bytes and 512-byte sectors, and how people write them.

Runs in guests too (Python 3.9, standard library only).
"""

from __future__ import annotations

import re

SECTOR = 512
KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30
TIB = 1 << 40
STORAGE_UNIT = 8
"""Sectors: difference storage is given, and taken for a chunk, in multiples of it (K20)."""

_UNITS = {"B": 1, "s": SECTOR, "KiB": KIB, "MiB": MIB, "GiB": GIB, "TiB": TIB}
_SIZE = re.compile(r"\s*(\d+)\s*(B|s|KiB|MiB|GiB|TiB)?\s*")


def parse_size(text: str | int) -> int:
    """Bytes of a size such as 512, "8s" (sectors), "64KiB", "16MiB"; ValueError if it is none."""
    if isinstance(text, bool):
        raise ValueError(f"{text!r} is not a size; write e.g. 4096, 8s, 64KiB, 16MiB, 1GiB")
    if isinstance(text, int):
        if text < 0:
            raise ValueError(f"{text} is negative; a size is 0 or more")
        return text
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a size; write e.g. 4096, 8s, 64KiB, 16MiB, 1GiB")
    return int(match.group(1)) * _UNITS[match.group(2) or "B"]


def format_size(size: int) -> str:
    """The shortest exact spelling of a size in bytes, e.g. 16MiB, 8s, 513."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size and size % _UNITS[unit] == 0:
            return f"{size // _UNITS[unit]}{unit}"
    if size and size % SECTOR == 0:
        return f"{size // SECTOR}s"
    return f"{size}B"


def sectors(size: int) -> int:
    """Sectors of a size in bytes; ValueError if it is not a whole number of them."""
    if size % SECTOR:
        raise ValueError(f"{size} bytes are not whole 512-byte sectors")
    return size // SECTOR

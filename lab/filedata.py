"""What the files of `files_write` hold: written in guests, compared there and on the host.

Runs in guests and on the host (Python 3.9, standard library only).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

BLOCK = 4096


def file_name(index: int) -> str:
    """The name of the file with this number."""
    return f"f{index:06}"


def content(seed: int, index: int, size: int) -> Iterator[bytes]:
    """Blocks of 4 KiB, each a repeated digest of (seed, file, block), so any exchange shows."""
    for block in range(-(-size // BLOCK)):
        sum_ = hashlib.blake2b(f"{seed} {index} {block}".encode(), digest_size=64).digest()
        yield (sum_ * (BLOCK // 64))[: size - block * BLOCK]

"""Digests: of texts, and of files of any size. 32 hexadecimal digits each (BLAKE2b)."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from lab.units import MIB

DIGEST_BYTES = 16


def digest_of(*parts: str | bytes) -> str:
    """Digest of a sequence of texts, 32 hexadecimal digits; the borders between them count."""
    hasher = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        hasher.update(len(raw).to_bytes(8, "little"))
        hasher.update(raw)
    return hasher.hexdigest()


def digest_file(path: Path) -> str:
    """Digest of a file of any size; holes and zeros count alike, and holes are not read."""
    hasher = hashlib.blake2b(digest_size=DIGEST_BYTES)
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        hasher.update(size.to_bytes(8, "little"))
        for offset, block in _data_blocks(file.fileno(), size):
            hasher.update(offset.to_bytes(8, "little"))
            hasher.update(block)
    return hasher.hexdigest()


def _data_blocks(descriptor: int, size: int) -> Iterator[tuple[int, bytes]]:
    """The MiB blocks of a file that hold something, in order, each with its offset."""
    zero = bytes(MIB)
    offset = 0
    while offset < size:
        try:
            offset = os.lseek(descriptor, offset, os.SEEK_DATA) // MIB * MIB
        except OSError:  # ENXIO: nothing but a hole until the end
            return
        block = os.pread(descriptor, MIB, offset)
        if block != zero[: len(block)]:
            yield offset, block
        offset += MIB

"""Block size of the CBT map and chunk size of the copies (rule K9), computed on our own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DEFAULTS: Mapping[str, int] = {
    "tracking_block_minimum_shift": 16,
    "tracking_block_maximum_shift": 26,
    "tracking_block_maximum_count": 2097152,
    "chunk_minimum_shift": 18,
    "chunk_maximum_shift": 26,
    "chunk_maximum_count": 2097152,
    "chunk_maximum_in_cache": 64,
    "free_diff_buffer_pool_size": 128,
    "diff_storage_minimum": 2097152,
}
"""Parameters of the module that nobody has changed (K9; table in guest_module/README.md)."""


@dataclass(frozen=True, slots=True)
class Grain:
    """A device cut into equal pieces, the last one shorter."""

    sectors: int
    """Length of a piece."""
    count: int
    """How many pieces the device has."""

    def touched(self, sector: int, count: int) -> tuple[int, int]:
        """First piece and number of pieces that a range of sectors touches."""
        if count <= 0:
            return sector // self.sectors, 0
        first = sector // self.sectors
        return first, (sector + count - 1) // self.sectors - first + 1


def _grain(sectors: int, shift: int, maximum_shift: int, maximum_count: int) -> Grain:
    """Start at the smallest piece; double it until the number fits or the limit is reached."""
    while shift < maximum_shift and -(-sectors * 512 >> shift) > maximum_count:
        shift += 1
    piece = 1 << (shift - 9)
    return Grain(piece, -(-sectors // piece))


def tracking_grain(sectors: int, parameters: Mapping[str, int]) -> Grain:
    """Blocks of the CBT map of a device."""
    values = {**DEFAULTS, **parameters}
    return _grain(
        sectors,
        values["tracking_block_minimum_shift"],
        values["tracking_block_maximum_shift"],
        values["tracking_block_maximum_count"],
    )


def chunk_grain(sectors: int, parameters: Mapping[str, int]) -> Grain:
    """Chunks of the difference area of a device."""
    values = {**DEFAULTS, **parameters}
    return _grain(
        sectors,
        values["chunk_minimum_shift"],
        values["chunk_maximum_shift"],
        values["chunk_maximum_count"],
    )

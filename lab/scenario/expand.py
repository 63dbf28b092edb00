"""What the compact spellings of the language stand for: ranges and storage pieces, drawn the
same way at every run."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping

from lab.errors import UsageError
from lab.scenario.steps_io import Placed, RandomRanges
from lab.scenario.steps_snapshot import PieceOrder, Pieces
from lab.units import SECTOR, STORAGE_UNIT, format_size

Ranges = list[tuple[int, int]]
"""(sector, count) each."""

TRIES = 64


def ranges_of(placed: Placed, device_sectors: int, turn: int = 0) -> Ranges:
    """The ranges of a verb in sectors, in the order given; `turn` is the round of a repeat."""
    if placed.ranges is not None:
        return [(piece.sector, piece.count) for piece in placed.ranges]
    if placed.random is not None:
        return random_ranges(placed.random, device_sectors, turn)
    at = placed.at // SECTOR
    return [(at, device_sectors - at if placed.size is None else placed.size // SECTOR)]


def random_ranges(wanted: RandomRanges, device_sectors: int, turn: int = 0) -> Ranges:
    """Ranges drawn from seed and turn. None overlaps another: one that finds no room after some
    tries is left out, so there may be fewer than `count` on a crowded device.

    Raises UsageError if there is no room for one; of a device whose size only the guest knows
    nobody can tell before.
    """
    draw = random.Random(f"{wanted.seed}/{turn}")
    align = wanted.align // SECTOR
    within = wanted.within
    start, room = (0, device_sectors) if within is None else (within.sector, within.count)
    low, high = (size // wanted.align for size in wanted.sizes)
    taken: set[int] = set()
    found: Ranges = []
    units = room // align
    if low > units:
        smallest, all_room = format_size(wanted.sizes[0]), format_size(room * SECTOR)
        raise UsageError(f"no range of {smallest} fits into {all_room}")
    for _ in range(wanted.count):
        for _ in range(TRIES):
            size = draw.randint(low, min(high, units))
            first = draw.randint(0, units - size)
            places = range(first, first + size)
            if taken.isdisjoint(places):
                taken.update(places)
                found.append((start + first * align, size * align))
                break
    return found


def cut(ranges: Iterable[tuple[int, int]], longest: int) -> Ranges:
    """Ranges cut into parts of at most `longest` sectors."""
    return [
        (sector + done, min(longest, count - done))
        for sector, count in ranges
        for done in range(0, count, longest)
    ]


def pieces_of(pieces: Pieces, sectors: Mapping[str, int]) -> list[tuple[str, Ranges]]:
    """Calls of append_storage that give the pieces: (device, ranges) each, in order.

    Sizes are drawn so that their sum is `total`; on each device they follow each other with a
    gap of one unit, so that no two can be joined.
    """
    draw = random.Random(pieces.seed)
    units = pieces.total // SECTOR // STORAGE_UNIT
    cuts = sorted(draw.sample(range(1, units), pieces.count - 1))
    sizes = [b - a for a, b in zip([0, *cuts], [*cuts, units], strict=True)]
    room = {name: sectors[name] // STORAGE_UNIT for name in pieces.devices}
    next_free = dict.fromkeys(pieces.devices, 0)
    placed: list[tuple[str, tuple[int, int]]] = []
    for i, size in enumerate(sizes):
        order = [pieces.devices[(i + k) % len(pieces.devices)] for k in range(len(pieces.devices))]
        name = next((n for n in order if next_free[n] + size <= room[n]), order[0])
        placed.append((name, (next_free[name] * STORAGE_UNIT, size * STORAGE_UNIT)))
        next_free[name] += size + 1
    if pieces.order is PieceOrder.ASCENDING:
        placed.sort()
    elif pieces.order is PieceOrder.FRAGMENTED:
        draw.shuffle(placed)
    return _batched(placed, pieces.batch)


def _batched(placed: list[tuple[str, tuple[int, int]]], batch: int) -> list[tuple[str, Ranges]]:
    """Pieces in their order, collected per device until a batch is full."""
    calls: list[tuple[str, Ranges]] = []
    open_calls: dict[str, Ranges] = {}
    for name, piece in placed:
        waiting = open_calls.setdefault(name, [])
        waiting.append(piece)
        if len(waiting) == batch:
            calls.append((name, open_calls.pop(name)))
    calls += [(name, waiting) for name, waiting in open_calls.items() if waiting]
    return calls

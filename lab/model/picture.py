"""A picture of a disagreement: what lies where around it, for reports to draw.

A `Picture` shows the place from just before the first wrong sector (or block) on, run by run, right
ones too, up to a limit; and the whole device in columns, each with its number of wrong sectors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from lab.model.disagreement import Disagreement

PARTS = 300
"""Runs that one picture shows."""
COLUMNS = 256
"""Parts of equal size that a whole device is divided in."""


@dataclass(frozen=True, slots=True)
class Part:
    """`count` sectors in a row: what was found there, and what must be if that is wrong."""

    first: int
    count: int
    found: str
    allowed: str = ""

    @property
    def end(self) -> int:
        """The first sector after it."""
        return self.first + self.count


@dataclass(frozen=True)
class Picture:
    """What was found where.

    where: what was looked at. unit: "sector" or "block", of all numbers here. size: of the device.
    wrong: how many are wrong. columns: how many of them in each part of the device, which has
    `per_column`. parts: around the first wrong ones; the window ends where they do.
    """

    where: str
    unit: str
    size: int
    wrong: int
    per_column: int
    columns: tuple[int, ...]
    parts: tuple[Part, ...]


def paint(size: int, found: Sequence[Disagreement], seen: Iterable[Part]) -> Picture | None:
    """The picture of some disagreements in one thing of `size` sectors or blocks, and of what was
    seen there, in order; None if none of them has a place."""
    wrong = [one for one in found if one.first >= 0 and one.count > 0 and one.unit]
    if not wrong:
        return None
    first, last = wrong[0].first, max(one.first + one.count for one in wrong)
    margin = max(8, (last - first) // 8)
    window = (max(0, first - margin), min(size, last + margin))
    per_column = max(1, -(-size // COLUMNS))
    return Picture(
        where=wrong[0].where,
        unit=wrong[0].unit,
        size=size,
        wrong=sum(one.count for one in wrong),
        per_column=per_column,
        columns=_columns(size, per_column, wrong),
        parts=tuple(_parts(window, wrong, seen)),
    )


def _columns(size: int, per_column: int, wrong: Iterable[Disagreement]) -> tuple[int, ...]:
    columns = [0] * -(-size // per_column)
    for one in wrong:
        first, end = one.first, min(one.first + one.count, size)
        while first < end:
            column = first // per_column
            stop = min(end, (column + 1) * per_column)
            columns[column] += stop - first
            first = stop
    return tuple(columns)


def _parts(
    window: tuple[int, int], wrong: Sequence[Disagreement], seen: Iterable[Part]
) -> Iterator[Part]:
    """Wrong runs, and what was seen between them, in order; at most PARTS."""
    made = 0
    position, end = window
    pieces = iter(seen)
    piece = next(pieces, None)
    for one in [*wrong, None]:
        until = end if one is None else one.first
        while piece is not None and piece.first < until and made < PARTS:
            first, stop = max(piece.first, position), min(piece.end, until)
            if first < stop:
                yield Part(first, stop - first, piece.found)
                made += 1
            if piece.end > until:
                break
            piece = next(pieces, None)
        if one is None or made >= PARTS:
            return
        yield Part(one.first, one.count, one.found, one.allowed)
        made += 1
        position = one.first + one.count

"""What a sector may hold: zeros, a stamp of some write, one of several, or nobody knows.

A `Cell` is the set of what is allowed; None is "opaque": a file system or the difference storage
lives there and no model knows the bytes.
"""

from __future__ import annotations

from typing import NamedTuple


class Stamp(NamedTuple):
    """The stamp of one write, or of any of a series of writes, as seen on its root device."""

    tag: int
    """Which device was written; 0 is "zeros"."""
    first: int
    """Number of the write; of the first one of a series."""
    last: int
    """Number of the last one of a series; equal to `first` for one write."""
    shift: int
    """Sector on the root device minus the sector that the stamp names."""

    def holds(self, tag: int, seq: int, shift: int) -> bool:
        """Whether a stamp found there is this one."""
        if self.tag == 0:
            return tag == 0
        return self.tag == tag and self.first <= seq <= self.last and self.shift == shift

    def moved(self, by: int) -> Stamp:
        """The same on a device that begins `by` sectors further on."""
        return self if self.tag == 0 or by == 0 else self._replace(shift=self.shift - by)


ZERO = Stamp(0, 0, 0, 0)
"""512 zero bytes."""

Cell = frozenset[Stamp] | None
"""Everything a sector may hold; None: anything (opaque)."""

ZEROS: Cell = frozenset({ZERO})


def one(stamp: Stamp) -> Cell:
    """Exactly this."""
    return frozenset({stamp})


def either(cell: Cell, other: Cell) -> Cell:
    """What the one or the other allows."""
    return None if cell is None or other is None else cell | other


def shifted(cell: Cell, by: int) -> Cell:
    """The same cell on a device that begins `by` sectors further on."""
    return cell if cell is None or by == 0 else frozenset(stamp.moved(by) for stamp in cell)


def permits(cell: Cell, tag: int, seq: int, shift: int) -> bool:
    """Whether a sector may hold this (tag 0: zeros)."""
    return cell is None or any(stamp.holds(tag, seq, shift) for stamp in cell)


def is_certain(cell: Cell) -> bool:
    """Whether exactly one content is allowed."""
    return cell is not None and len(cell) == 1 and all(stamp.first == stamp.last for stamp in cell)

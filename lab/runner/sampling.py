"""Observations made small enough to be kept: maps in cells, latencies in slots of time.

What is kept of a thing does not grow with it: a map of any size is at most CELLS cells; the writes
of a load, however many, are counts in a grid of at most SLOTS times by some 60 latencies.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from lab.model.seen import MapRun

CELLS = 256
"""Cells that a row of a heat map has at most; each stands for the same number of blocks."""
SLOTS = 240
"""Slots of time that a load's latencies are counted in; when it lasts longer they are doubled."""
FIRST_SLOT = 0.025
"""Length of a slot at first; seconds."""
PER_OCTAVE = 4
"""Steps of latency per doubling."""


def cells_of(runs: Iterable[MapRun], blocks: int) -> tuple[int, list[list[int]]]:
    """How many blocks a cell stands for; and cells, run-length coded: [cells, value] each.

    The value of a cell is the highest, so the newest, of its blocks: no change is ever lost.
    """
    per_cell = max(1, -(-blocks // CELLS))
    cells = [0] * -(-blocks // per_cell)
    for run in runs:
        last = min(run.block + run.count, blocks) - 1
        for cell in range(run.block // per_cell, last // per_cell + 1):
            cells[cell] = max(cells[cell], run.value)
    coded: list[list[int]] = []
    for value in cells:
        if coded and coded[-1][1] == value:
            coded[-1][0] += 1
        else:
            coded.append([1, value])
    return per_cell, coded


class Latencies:
    """Durations of the writes of a load over time."""

    def __init__(self) -> None:
        self.slot = FIRST_SLOT
        self.first: float | None = None
        self.longest = 0.0
        self.counts: Counter[tuple[int, int]] = Counter()

    def add(self, ended: float, took: float) -> None:
        """A write that ended at a time (seconds since the epoch) after `took` seconds."""
        if self.first is None:
            self.first = ended
        number = max(0, int((ended - self.first) / self.slot))
        while number >= SLOTS:
            self._double()
            number //= 2
        self.longest = max(self.longest, took)
        self.counts[number, step_of(took)] += 1

    def _double(self) -> None:
        self.slot *= 2
        halved: Counter[tuple[int, int]] = Counter()
        for (number, step), count in self.counts.items():
            halved[number // 2, step] += count
        self.counts = halved


def step_of(seconds: float) -> int:
    """The step of latency that a duration belongs to: 0 up to 1 us, PER_OCTAVE to a doubling."""
    return max(0, int(PER_OCTAVE * math.log2(max(seconds * 1e6, 1.0))))


def start_of(step: int) -> float:
    """The shortest duration of a step; seconds."""
    return float(2 ** (step / PER_OCTAVE)) / 1e6

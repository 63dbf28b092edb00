"""RunMap: a value for every sector of a device, kept as runs of equal values.

A 64 TiB device of one value is one run; the cost grows with the number of runs only.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

V = TypeVar("V")
W = TypeVar("W")


@dataclass(frozen=True, slots=True)
class Run(Generic[V]):
    """`count` positions from `start` on, all of one `value`."""

    start: int
    count: int
    value: V

    @property
    def end(self) -> int:
        """The first position after it."""
        return self.start + self.count


class RunMap(Generic[V]):
    """A total map from positions 0..size-1 to values; neighbours of equal value are one run.

    Positions outside are clipped silently when writing; reading outside raises IndexError.
    """

    def __init__(self, size: int, value: V) -> None:
        self.size = size
        self._starts: list[int] = [0] if size else []
        self._values: list[V] = [value] if size else []

    def copy(self) -> RunMap[V]:
        """An independent copy; linear in the number of runs."""
        other: RunMap[V] = RunMap.__new__(RunMap)
        other.size = self.size
        other._starts = self._starts.copy()
        other._values = self._values.copy()
        return other

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, position: int) -> V:
        if not 0 <= position < self.size:
            raise IndexError(f"{position} is outside 0..{self.size - 1}")
        return self._values[bisect_right(self._starts, position) - 1]

    def runs(self, start: int = 0, count: int | None = None) -> Iterator[Run[V]]:
        """The runs of a range, clipped to it."""
        start, end = self._clip(start, count)
        index = bisect_right(self._starts, start) - 1
        while start < end:
            after = self._starts[index + 1] if index + 1 < len(self._starts) else self.size
            stop = min(after, end)
            yield Run(start, stop - start, self._values[index])
            start = stop
            index += 1

    def set(self, start: int, count: int | None, value: V) -> None:
        """Give a range one value."""
        start, end = self._clip(start, count)
        if start < end:
            self._splice(start, end, [start], [value])

    def update(self, start: int, count: int | None, change: Callable[[V], V]) -> None:
        """Give every position of a range the value that `change` makes of its present one."""
        start, end = self._clip(start, count)
        starts: list[int] = []
        values: list[V] = []
        for run in self.runs(start, end - start):
            value = change(run.value)
            if not values or values[-1] != value:
                starts.append(run.start)
                values.append(value)
        if starts:
            self._splice(start, end, starts, values)

    def window(self, start: int, count: int) -> RunMap[V]:
        """A range as a map of its own, positions from 0; what lies outside is cut off."""
        start, end = self._clip(start, count)
        other: RunMap[V] = RunMap.__new__(RunMap)
        other.size = end - start
        runs = list(self.runs(start, end - start))
        other._starts = [run.start - start for run in runs]
        other._values = [run.value for run in runs]
        return other

    def mapped(self, change: Callable[[V], W]) -> RunMap[W]:
        """A new map with `change` applied to every value."""
        other: RunMap[W] = RunMap.__new__(RunMap)
        other.size = self.size
        other._starts, other._values = [], []
        for start, old in zip(self._starts, self._values, strict=True):
            value = change(old)
            if not other._values or other._values[-1] != value:
                other._starts.append(start)
                other._values.append(value)
        return other

    def resized(self, size: int, value: V) -> RunMap[V]:
        """A copy of another size; what is new has the given value."""
        other = RunMap(size, value)
        for run in self.runs(0, min(size, self.size)):
            other.set(run.start, run.count, run.value)
        return other

    def _clip(self, start: int, count: int | None) -> tuple[int, int]:
        end = self.size if count is None else min(start + count, self.size)
        start = max(start, 0)
        return start, max(start, end)

    def _splice(self, start: int, end: int, starts: list[int], values: list[V]) -> None:
        """Put runs in place of [start, end) and merge at both seams."""
        first = bisect_left(self._starts, start)
        last = bisect_left(self._starts, end)
        if end < self.size and (last == len(self._starts) or self._starts[last] != end):
            starts = [*starts, end]
            values = [*values, self._values[last - 1]]
        elif last < len(self._starts) and self._values[last] == values[-1]:
            last += 1
        if len(values) > 1 and values[-1] == values[-2]:
            starts, values = starts[:-1], values[:-1]
        if first > 0 and self._values[first - 1] == values[0]:
            starts, values = starts[1:], values[1:]
        self._starts[first:last] = starts
        self._values[first:last] = values

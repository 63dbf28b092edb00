"""What was reached, line by line: counts that can be added up.

A place is a file of the module, by its name below the module's folder, and a line from 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest

Place = tuple[str, int]

LINES_WANTED, BRANCHES_WANTED = 90.0, 80.0
"""Percent of a module's lines and branches that its scenarios are to reach."""


@dataclass(frozen=True)
class Function:
    """A function; line: where it begins. count: how often it was entered."""

    file: str
    name: str
    line: int
    count: int


@dataclass(frozen=True)
class Share:
    """How many of how many."""

    reached: int
    total: int

    @property
    def percent(self) -> float:
        """Of nothing all is reached."""
        return 100 * self.reached / self.total if self.total else 100.0

    def __str__(self) -> str:
        return f"{self.reached}/{self.total}  {self.percent:5.1f} %"


@dataclass(frozen=True)
class Reached:
    """How often each line that was compiled was reached, and each branch on it was taken.

    A line of a header is that line wherever it was compiled. Branches of a line are in the order
    in which the compiler has them; where several copies of a line have different numbers of
    branches, each is added to the one of the same number.
    """

    lines: Mapping[Place, int] = field(default_factory=dict)
    branches: Mapping[Place, tuple[int, ...]] = field(default_factory=dict)
    functions: Mapping[tuple[str, str], Function] = field(default_factory=dict)

    @property
    def files(self) -> tuple[str, ...]:
        """All files with lines, in order."""
        return tuple(sorted({file for file, _ in self.lines}))

    def line_share(self, file: str | None = None) -> Share:
        """Lines that were reached, of a file or of all."""
        counts = [count for (name, _), count in self.lines.items() if file in (None, name)]
        return Share(sum(map(bool, counts)), len(counts))

    @property
    def shortages(self) -> tuple[str, ...]:
        """What there is too little of, of lines and of branches, in words."""
        shares = (
            ("lines", self.line_share(), LINES_WANTED),
            ("branches", self.branch_share(), BRANCHES_WANTED),
        )
        return tuple(
            f"only {share.percent:.1f} % of all {what} are reached; {wanted:.0f} % are to be"
            for what, share, wanted in shares
            if share.percent < wanted
        )

    def branch_share(self, file: str | None = None) -> Share:
        """Branches that were taken, of a file or of all."""
        found = [all_ for (name, _), all_ in self.branches.items() if file in (None, name)]
        return Share(sum(bool(one) for all_ in found for one in all_), sum(map(len, found)))

    def unreached_lines(self) -> list[Place]:
        """Lines that were never reached, in order."""
        return sorted(place for place, count in self.lines.items() if not count)

    def half_reached_lines(self) -> list[Place]:
        """Lines that were reached, but not all of their branches taken, in order."""
        return sorted(
            place
            for place, counts in self.branches.items()
            if not all(counts) and self.lines.get(place)
        )


def added(several: Iterable[Reached]) -> Reached:
    """All counts added up."""
    lines: dict[Place, int] = {}
    branches: dict[Place, tuple[int, ...]] = {}
    functions: dict[tuple[str, str], Function] = {}
    for one in several:
        for place, count in one.lines.items():
            lines[place] = lines.get(place, 0) + count
        for place, counts in one.branches.items():
            pairs = zip_longest(branches.get(place, ()), counts, fillvalue=0)
            branches[place] = tuple(map(sum, pairs))
        for key, function in one.functions.items():
            before = functions[key].count if key in functions else 0
            functions[key] = Function(*key, function.line, before + function.count)
    return Reached(lines, branches, functions)

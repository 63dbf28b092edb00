"""What is measured, what is compared with what, and the statistics of it.

A round measures each state once. A ratio is made within a round, so that what slows the whole
machine down slows both; what is told is the median over the rounds, and their spread.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """What the module, or dm-snapshot in its place, is doing while the I/O is done."""

    BARE = "no module"
    BARE_READ = "no module, read"
    HOOKED = "module loaded, no filter on this disk"
    TRACKED = "tracked, no snapshot"
    TRACKED_READ = "tracked, no snapshot, read"
    FIRST = "held, first write"
    REWRITE = "held, rewrite"
    TRANSIENT_FIRST = "dm-snapshot N, first write"
    TRANSIENT_AGAIN = "dm-snapshot N, again"
    PERSISTENT_FIRST = "dm-snapshot P, first write"
    PERSISTENT_AGAIN = "dm-snapshot P, again"
    ORIGINAL = "original, direct read"
    IMAGE = "image, direct read, nothing copied"
    IMAGE_COPIED = "image, direct read, all copied"
    ORIGINAL_CACHED = "original, read again from the cache"
    IMAGE_CACHED = "image, read again from the cache"
    TAKE_SMALL = "take of 1 GiB"
    TAKE_LARGE = "take of 64 TiB, sparse"


class Pattern(StrEnum):
    """Which blocks, how large."""

    RANDOM = "random 4 KiB"
    SEQUENTIAL = "sequential 1 MiB"
    NONE = ""


IO = (Pattern.RANDOM, Pattern.SEQUENTIAL)

Round = Mapping[tuple[State, Pattern], float]
"""Seconds of one operation, by what was measured; a round may lack some."""


@dataclass(frozen=True)
class Comparison:
    """The speed of one state as a multiple of another's; `target`: what it has to be at least."""

    of: State
    to: State
    target: float | None = None
    patterns: tuple[Pattern, ...] = IO


COMPARISONS = (
    Comparison(State.HOOKED, State.BARE),
    Comparison(State.TRACKED, State.BARE, 0.97),
    Comparison(State.TRACKED_READ, State.BARE_READ, 0.97),
    Comparison(State.FIRST, State.TRACKED),
    Comparison(State.FIRST, State.TRANSIENT_FIRST, 1.5),
    Comparison(State.FIRST, State.PERSISTENT_FIRST, 1.5),
    Comparison(State.REWRITE, State.TRACKED, 0.97),
    Comparison(State.REWRITE, State.TRANSIENT_AGAIN),
    Comparison(State.REWRITE, State.PERSISTENT_AGAIN),
    Comparison(State.IMAGE, State.ORIGINAL, 0.9),
    Comparison(State.IMAGE_COPIED, State.ORIGINAL, 0.9),
    Comparison(State.IMAGE_CACHED, State.ORIGINAL_CACHED, 0.9),
    # "As fast as": within what two takes of the same device differ by.
    Comparison(State.TAKE_LARGE, State.TAKE_SMALL, 0.95, (Pattern.NONE,)),
)


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of some values, the least and the greatest, and their number."""

    median: float
    low: float
    high: float
    least: float
    greatest: float
    count: int


@dataclass(frozen=True)
class Ratio:
    """A comparison, measured for a pattern."""

    comparison: Comparison
    pattern: Pattern
    spread: Spread

    @property
    def reached(self) -> bool | None:
        """Whether the median reaches the target; None without one."""
        target = self.comparison.target
        return None if target is None else self.spread.median >= target


@dataclass(frozen=True)
class Time:
    """Seconds that an operation takes in a state."""

    state: State
    pattern: Pattern
    spread: Spread


def spread_of(values: Sequence[float]) -> Spread:
    """Median and quartiles; of one value it is all of them. ValueError of none."""
    if not values:
        raise ValueError("nothing was measured")
    low, median, high = (
        statistics.quantiles(values, n=4, method="inclusive")
        if len(values) > 1
        else (values[0],) * 3
    )
    return Spread(median, low, high, min(values), max(values), len(values))


def times(rounds: Sequence[Round]) -> tuple[Time, ...]:
    """The seconds of all that was measured, in the order of State."""
    keys = [(state, pattern) for state in State for pattern in Pattern]
    found = {key: [one[key] for one in rounds if key in one] for key in keys}
    return tuple(Time(*key, spread_of(values)) for key, values in found.items() if values)


def ratios(
    rounds: Sequence[Round], comparisons: Sequence[Comparison] = COMPARISONS
) -> tuple[Ratio, ...]:
    """The comparisons of which both sides were measured, each within the rounds that have both."""
    made = []
    for comparison in comparisons:
        for pattern in comparison.patterns:
            of, to = (comparison.of, pattern), (comparison.to, pattern)
            values = [one[to] / one[of] for one in rounds if of in one and to in one]
            if values:
                made.append(Ratio(comparison, pattern, spread_of(values)))
    return tuple(made)

"""How often scenarios that were run several times were red, and what that says of their rate.

A run that was red never shows how often others would be: `n` green ones in a row are also seen of a
scenario that is red now and then. So a bound is told with each count: with 95 % confidence the rate
is at most that (one-sided, exact, after Clopper and Pearson; 1 - 0.05^(1/n) if none was red).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from lab.report.wording import NAME_WIDTH, short
from lab.runner.verdict import GREEN_VERDICTS, ScenarioResult, Verdict, count_verdicts

CONFIDENCE = 0.95
BISECTIONS = 40
"""Halvings of the interval that holds the bound; far beyond what is printed."""


@dataclass(frozen=True)
class Rate:
    """What became of the runs of one scenario; `red`: neither passed nor skipped."""

    label: str
    green: int
    red: int
    skipped: int

    @property
    def tries(self) -> int:
        """Runs that count: a skipped one says nothing."""
        return self.green + self.red

    @property
    def at_most(self) -> float:
        """The rate of red runs, 0..1, that is not exceeded with 95 % confidence."""
        return upper_bound(self.red, self.tries)


def upper_bound(red: int, tries: int) -> float:
    """The largest rate, 0..1, at which `red` or fewer of `tries` are seen once in 20 times."""
    if red >= tries:
        return 1.0
    low, high = red / tries, 1.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if _chance(red, tries, middle) > 1 - CONFIDENCE:
            low = middle
        else:
            high = middle
    return high


def _chance(red: int, tries: int, rate: float) -> float:
    """How likely it is that `red` or fewer of `tries` are red, at a rate between 0 and 1."""
    logs = (
        math.lgamma(tries + 1)
        - math.lgamma(n + 1)
        - math.lgamma(tries - n + 1)
        + n * math.log(rate)
        + (tries - n) * math.log1p(-rate)
        for n in range(red + 1)
    )
    return sum(map(math.exp, logs))


def rates(results: Iterable[ScenarioResult]) -> tuple[Rate, ...]:
    """The rate of each scenario (by its label), in the order in which they are first seen."""
    return tuple(
        Rate(
            label,
            green=sum(one.verdict is Verdict.PASSED for one in mine),
            red=sum(one.verdict not in GREEN_VERDICTS for one in mine),
            skipped=sum(one.verdict is Verdict.SKIPPED for one in mine),
        )
        for label, mine in _by_label(results).items()
    )


def rate_lines(results: Sequence[ScenarioResult]) -> Iterator[str]:
    """A table of rates, that of all together, and the runs that ended unlike the others."""
    table = rates(results)
    width = max([NAME_WIDTH, *(len(one.label) for one in table)])
    yield f"{'':{width}}  green    red  skipped  red at most, with 95 % confidence"
    for one in table:
        yield f"{one.label:{width}} {one.green:6} {one.red:6} {one.skipped:8}  {_bound(one)}"
    every = Rate(
        "all", *(sum(getattr(one, n) for one in table) for n in ("green", "red", "skipped"))
    )
    yield (
        f"flake rate: {every.red} of {every.tries} runs were red; "
        f"with 95 % confidence at most {_bound(every)} are"
    )
    for label, mine in _by_label(results).items():
        yield from _unlike(label, mine)


def round_line(results: Iterable[ScenarioResult], size: int, wanted: int) -> str:
    """How many rounds were done, of so many `wanted`; each is `size` runs."""
    done = Counter(one.repeat for one in results)
    whole = sum(count >= size for count in done.values())
    rest = sum(count for count in done.values() if count < size)
    more = f", and {rest} of {size} runs of the next" if rest else ""
    return f"rounds: {whole} of {wanted} done{more}"


def _unlike(label: str, results: Sequence[ScenarioResult]) -> Iterator[str]:
    """The runs of a scenario with each verdict that is not its most frequent one."""
    counts = count_verdicts(results)
    usual = max(counts, key=lambda verdict: counts[verdict])
    others = [one for one in results if one.verdict is not usual]
    if others:
        told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
        yield f"{label} did not always end alike: {told}"
    for one in others:
        yield f"  {one.verdict} in run {one.repeat}: {short(one.reason)}"
        yield f"    results: {one.folder}"


def _bound(rate: Rate) -> str:
    return f"{100 * rate.at_most:.3g} %" if rate.tries else "-"


def _by_label(results: Iterable[ScenarioResult]) -> dict[str, list[ScenarioResult]]:
    found: dict[str, list[ScenarioResult]] = {}
    for one in results:
        found.setdefault(one.label, []).append(one)
    return found

"""What is different between two runs: verdicts, durations, and what was measured in passing.

Results are paired by scenario, kernel and repetition; if each run has one kernel and they are not
the same, it is the kernels that are compared. Ratios are those of the second run to the
first: 2 is twice as long. They are of single runs on machines that may have had other work to do,
and tell where to look, not what is true.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from lab.report.charts.latency import held_spans, spread
from lab.report.stored import StoredRun, StoredScenario
from lab.runner.verdict import Verdict

NOTABLE = 1.25
"""Durations and figures that differ by less than this factor are not worth a line."""
NOTABLE_SECONDS = 1.0
"""Nor are durations that differ by less than this."""


class Kind(StrEnum):
    """What became of a scenario."""

    BROKEN = "broken"
    CHANGED = "changed"
    MENDED = "mended"
    NEW = "new"
    GONE = "gone"


@dataclass(frozen=True)
class Change:
    """A verdict that is another one now; None: not in that run. reason: of the second run."""

    kind: Kind
    name: str
    kernel: str
    repeat: int
    before: Verdict | None
    after: Verdict | None
    reason: str
    command: str


@dataclass(frozen=True)
class Ratio:
    """A figure in both runs; unit: "s", "ms" or "" (a count)."""

    name: str
    kernel: str
    what: str
    before: float
    after: float
    unit: str

    @property
    def ratio(self) -> float:
        """The second to the first."""
        return self.after / self.before

    @property
    def notable(self) -> bool:
        """Whether it is worth a line."""
        return not 1 / NOTABLE < self.ratio < NOTABLE


@dataclass(frozen=True)
class Difference:
    """All of it. durations: notable ones, of scenarios green in both, the largest change first;
    typical: geometric mean of the ratios of all of those, None without any."""

    before: Path
    after: Path
    compared: int
    changes: tuple[Change, ...]
    durations: tuple[Ratio, ...]
    typical: float | None
    figures: tuple[Ratio, ...]

    @property
    def notable_figures(self) -> tuple[Ratio, ...]:
        """Those that differ."""
        return tuple(one for one in self.figures if one.notable)

    @property
    def worse(self) -> bool:
        """Whether something was green and is not, or was run and is not any more."""
        return any(change.kind in (Kind.BROKEN, Kind.GONE) for change in self.changes)


Key = tuple[str, str, int]


class Pair(NamedTuple):
    """The two results of a scenario."""

    key: Key
    before: StoredScenario
    after: StoredScenario


def difference(before: StoredRun, after: StoredRun) -> Difference:
    """The difference between two runs."""
    old, new = _by_key(before), _by_key(after)
    if len(_kernels(old)) == len(_kernels(new)) == 1 and _kernels(old) != _kernels(new):
        both = f"{min(_kernels(old))}, {min(_kernels(new))}"
        old, new = (
            {(name, both, repeat): one for (name, _, repeat), one in some.items()}
            for some in (old, new)
        )
    pairs = [Pair(key, old[key], new[key]) for key in old if key in new]
    changes = [
        change
        for key in dict.fromkeys([*old, *new])
        if (change := _change(key, old.get(key), new.get(key))) is not None
    ]
    good = [one for one in pairs if one.before.verdict is one.after.verdict is Verdict.PASSED]
    durations = [
        _ratio(one.key, "duration", one.before.duration, one.after.duration, "s")
        for one in good
        if one.before.duration > 0 and one.after.duration > 0
    ]
    order = list(Kind)
    return Difference(
        before=before.folder,
        after=after.folder,
        compared=len(pairs),
        changes=tuple(sorted(changes, key=lambda one: order.index(one.kind))),
        durations=tuple(_notable(durations)),
        typical=_mean([one.ratio for one in durations]),
        figures=tuple(figure for pair in good for figure in _figures(pair)),
    )


def _by_key(run: StoredRun) -> dict[Key, StoredScenario]:
    return {(one.name, one.kernel, one.repeat): one for one in run.scenarios}


def _kernels(results: Mapping[Key, StoredScenario]) -> set[str]:
    return {kernel for _, kernel, _ in results}


def _change(key: Key, before: StoredScenario | None, after: StoredScenario | None) -> Change | None:
    if before is not None and after is not None and before.verdict is after.verdict:
        return None
    if before is None:
        kind = Kind.NEW
    elif after is None:
        kind = Kind.GONE
    elif before.green and not after.green:
        kind = Kind.BROKEN
    elif after.green and not before.green:
        kind = Kind.MENDED
    else:
        kind = Kind.CHANGED
    verdicts = [None if one is None else one.verdict for one in (before, after)]
    reason = "" if after is None else after.reason
    command = "" if after is None or after.green else after.command
    return Change(kind, *key, verdicts[0], verdicts[1], reason, command)


def _ratio(key: Key, what: str, before: float, after: float, unit: str) -> Ratio:
    name, kernel, repeat = key
    shown = name if repeat == 1 else f"{name} ({repeat})"
    return Ratio(shown, kernel, what, before, after, unit)


def _notable(durations: Iterable[Ratio]) -> list[Ratio]:
    found = [
        one for one in durations if abs(one.after - one.before) >= NOTABLE_SECONDS and one.notable
    ]
    return sorted(found, key=lambda one: -abs(math.log(one.ratio)))


def _mean(ratios: Sequence[float]) -> float | None:
    return statistics.geometric_mean(ratios) if ratios else None


def _figures(pair: Pair) -> Iterator[Ratio]:
    """Figures that both have, and that have a ratio."""
    before, after = _measured(pair.before), _measured(pair.after)
    for what, (value, unit) in before.items():
        if what in after and value > 0 and after[what][0] > 0:
            yield _ratio(pair.key, what, value, after[what][0], unit)


def _measured(one: StoredScenario) -> dict[str, tuple[float, str]]:
    """What a scenario measured: a figure and its unit by name."""
    found: dict[str, tuple[float, str]] = {
        name: (float(value), "")
        for name, value in one.reports.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    takes = [
        float(event["detail"]["milliseconds"])
        for event in one.events()
        if event.get("event") == "StepFinished"
        and "milliseconds" in event["detail"]
        and event["verb"] == "take"
    ]
    if takes:
        found["take, median"] = (statistics.median(takes), "ms")
    return found | _latencies(one)


def _latencies(one: StoredScenario) -> dict[str, tuple[float, str]]:
    figures = one.record("figures.json")
    found: dict[str, tuple[float, str]] = {}
    for load in figures.get("latencies", ()):
        end = one.started + one.duration
        spans = held_spans(figures.get("snapshots", ()), load["device"], end)
        for held, words in ((True, "held"), (False, "not held")):
            told = spread(load, spans, held=held)
            if told is not None:
                name = f"writes of {load['load']}, {words}"
                found[f"{name}, half"] = (told.half * 1e3, "ms")
                found[f"{name}, 99 %"] = (told.slow * 1e3, "ms")
    return found

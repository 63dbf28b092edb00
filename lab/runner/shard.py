"""Parts of a run for several machines, of about equal time: shard 2/5 is the second of five.

How long scenarios take is in a table of the repository, so that all machines agree on the parts. Of
all scenarios, longest first, each goes to the part that has least so far.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lab.data import data_file
from lab.errors import UsageError
from lab.scenario.scenario import Scenario

TABLE = "durations.txt"
HEAD = """\
# How long each scenario takes on a quiet machine, seconds; the shards of a run are made by it.
# What is not here counts as the median. Made by: blksnap-lab ci record RESULTS
"""
START = 2.0
"""Seconds that any scenario takes besides its own: a clone, and the automatic checks."""
_SHARD = re.compile(r"([1-9]\d*)/([1-9]\d*)")


@dataclass(frozen=True)
class Shard:
    """Which part of how many; counted from 1."""

    number: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """The shard that a text such as "2/5" means. UsageError if it means none."""
        match = _SHARD.fullmatch(text)
        if match is None or int(match[1]) > int(match[2]):
            raise UsageError(f"--shard {text!r} is no part of a whole", "e.g. --shard 2/5: 1 to 5")
        return cls(int(match[1]), int(match[2]))

    def part_of(
        self, scenarios: Sequence[Scenario], durations: Mapping[str, float]
    ) -> tuple[Scenario, ...]:
        """The scenarios of this part, in their order; perhaps none."""
        names = shares([one.name for one in scenarios], durations, self.count)[self.number - 1]
        return tuple(one for one in scenarios if one.name in names)


def shares(
    names: Iterable[str], durations: Mapping[str, float], count: int
) -> tuple[frozenset[str], ...]:
    """`count` parts of about equal time; the same ones whatever the order of the names."""
    usual = statistics.median(durations.values()) if durations else 1.0
    times = {name: START + durations.get(name, usual) for name in names}
    parts: list[set[str]] = [set() for _ in range(count)]
    loads = [0.0] * count
    for name in sorted(times, key=lambda name: (-times[name], name)):
        least = loads.index(min(loads))
        parts[least].add(name)
        loads[least] += times[name]
    return tuple(frozenset(part) for part in parts)


def recorded_durations() -> dict[str, float]:
    """The table: seconds by name of scenario."""
    text = data_file(TABLE).read_text(encoding="utf-8")
    rows = (line.split() for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(seconds) for seconds, name in rows}


def duration_table(
    known: Mapping[str, float], passed: Iterable[tuple[str, float]], names: Iterable[str]
) -> str:
    """The text of a new table: what passed (name, seconds) as it was there, the rest as known.

    Only `names`, the scenarios that there are, have a row; of several runs the median counts.
    """
    seen: dict[str, list[float]] = {}
    for name, seconds in passed:
        seen.setdefault(name, []).append(seconds)
    times = {**known, **{name: statistics.median(each) for name, each in seen.items()}}
    rows = [f"{times[name]:6.1f}  {name}\n" for name in sorted(names) if name in times]
    return HEAD + "".join(rows)

"""The figures as a table for people and as JSON for machines."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from lab.bench.figures import Ratio, Round, Spread, Time, ratios, times

_WORDS = {None: "", True: "reached", False: "[bold red]missed[/]"}


def times_table(found: Sequence[Time]) -> Table:
    """Microseconds of an operation in each state."""
    table = Table("state", "I/O", title="microseconds of one operation", title_justify="left")
    for head in ("median", "quartiles", "least to greatest"):
        table.add_column(head, justify="right")
    for one in found:
        table.add_row(one.state, one.pattern, *_cells(one.spread, 1e6, 1))
    return table


def ratios_table(found: Sequence[Ratio]) -> Table:
    """Speeds as multiples of each other, with what is to be reached."""
    title = "speed, as a multiple (within a round)"
    table = Table("speed of", "to that of", "I/O", title=title, title_justify="left")
    for head in ("median", "quartiles", "least to greatest", "target", ""):
        table.add_column(head, justify="right")
    for one in found:
        comparison = one.comparison
        target = "" if comparison.target is None else f"{comparison.target:.2f}"
        cells = _cells(one.spread, 1.0, 3)
        word = _WORDS[one.reached]
        table.add_row(comparison.of, comparison.to, one.pattern, *cells, target, word)
    return table


def as_data(rounds: Sequence[Round], facts: Mapping[str, object]) -> dict[str, Any]:
    """All figures, times in seconds, and `facts` on what was measured."""
    return {
        "facts": dict(facts),
        "seconds": [
            {"state": one.state, "io": one.pattern, **asdict(one.spread)} for one in times(rounds)
        ],
        "ratios": [
            {
                "of": one.comparison.of,
                "to": one.comparison.to,
                "io": one.pattern,
                "target": one.comparison.target,
                "reached": one.reached,
                **asdict(one.spread),
            }
            for one in ratios(rounds)
        ],
        "rounds": [
            [
                {"state": state, "io": pattern, "seconds": seconds}
                for (state, pattern), seconds in one.items()
            ]
            for one in rounds
        ],
    }


def _cells(spread: Spread, scale: float, digits: int) -> tuple[str, str, str]:
    def shown(value: float) -> str:
        return f"{value * scale:.{digits}f}"

    return (
        shown(spread.median),
        f"{shown(spread.low)} to {shown(spread.high)}",
        f"{shown(spread.least)} to {shown(spread.greatest)}",
    )

"""A difference between two runs, for a terminal and as a page."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator

from lab.report.difference import Change, Difference, Kind, Ratio
from lab.report.html import environment
from lab.report.wording import short

WORDS = {
    Kind.BROKEN: "was green, is not",
    Kind.CHANGED: "another verdict",
    Kind.MENDED: "is green now",
    Kind.NEW: "only in the second",
    Kind.GONE: "only in the first",
}
SHOWN_RATIOS = 12
"""Ratios that are shown in the terminal: those furthest from 1."""
SHOWN_NEW = 10
"""Scenarios of only one run that are named in the terminal."""


def lines(found: Difference) -> Iterator[str]:
    """The difference in lines of text."""
    yield f"{found.compared} results in both: {found.before}, {found.after}"
    for kind in Kind:
        yield from _changes(kind, [one for one in found.changes if one.kind is kind])
    if not found.changes:
        yield "all verdicts are the same"
    yield from _ratios("durations that differ", found.durations)
    yield from _ratios("measured in passing, differs", found.notable_figures)
    if found.typical is not None:
        yield ""
        yield f"typically, of what passed in both: durations {found.typical:.2f} times"
        by_name: dict[str, list[float]] = {}
        for one in found.figures:
            by_name.setdefault(one.what, []).append(one.ratio)
        for name, several in by_name.items():
            if len(several) > 1:
                yield f"  {name} {statistics.geometric_mean(several):.2f} times"


def _changes(kind: Kind, changes: list[Change]) -> Iterator[str]:
    if not changes:
        return
    yield ""
    yield f"{WORDS[kind]}: {len(changes)}"
    shown = changes[:SHOWN_NEW] if kind in (Kind.NEW, Kind.GONE) else changes
    for one in shown:
        verdicts = " -> ".join(word.value for word in (one.before, one.after) if word is not None)
        yield f"  {verdicts:<20} {one.kernel:<5} {one.name}  {short(one.reason)}".rstrip()
        if one.command:
            yield f"    again: {one.command}"
    if len(changes) > len(shown):
        yield f"  ... and {len(changes) - len(shown)} more"


def _ratios(title: str, ratios: Iterable[Ratio]) -> Iterator[str]:
    rows = sorted(ratios, key=lambda one: -abs(math.log(one.ratio)))
    if not rows:
        return
    yield ""
    yield f"{title}:"
    for one in rows[:SHOWN_RATIOS]:
        values = f"{figure_text(one.before)} -> {figure_text(one.after)} {one.unit}".rstrip()
        yield f"  {one.ratio:6.2f}x  {one.kernel:<5} {one.name:<32} {one.what}: {values}"
    if len(rows) > SHOWN_RATIOS:
        yield f"  ... and {len(rows) - SHOWN_RATIOS} that differ less; --html shows them"


def figure_text(value: float) -> str:
    """Three digits, without an exponent."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def page(found: Difference) -> str:
    """The difference as one page, complete in itself."""
    groups = [
        (kind, WORDS[kind], [one for one in found.changes if one.kind is kind]) for kind in Kind
    ]
    return (
        environment()
        .get_template("compare.html.j2")
        .render(
            found=found,
            groups=[group for group in groups if group[2]],
            number=figure_text,
        )
    )

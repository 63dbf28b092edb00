"""The module's sources as a page: how often each line was reached, and by which scenarios.

One file that loads nothing, made as the pages of runs are (lab.report.html). Who reaches a line is
a number in hexadecimal: bit N is set for scenario N of the list in the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab.coverage.lines import Share
from lab.coverage.reasons import Judgement
from lab.coverage.stored import RunCoverage
from lab.report.html import environment, packed


@dataclass(frozen=True)
class Line:
    """A line as it is shown. state: "" (no code), reached, half, missed or explained.

    branches: "+" and "-" in order. scenarios: how many; who: see above.
    """

    number: int
    text: str
    state: str
    count: int | None
    branches: str
    scenarios: int
    who: str
    reason: str


@dataclass(frozen=True)
class File:
    """A file as it is shown; content: its lines, packed. good: nothing without a reason."""

    name: str
    lines: Share
    branches: Share
    good: bool
    missed: int
    content: str


def page(coverage: RunCoverage, judgement: Judgement, run: str) -> str:
    """The whole page; run: what the run is called."""
    templates = environment()
    content = templates.get_template("coverage-file.html.j2")
    bits = {name: 1 << number for number, name in enumerate(coverage.scenarios)}
    total = coverage.total
    files = []
    for name in total.files:
        mine = _lines(coverage, judgement, name, bits)
        missed = sum(file == name for file, _ in judgement.lines)
        files.append(
            File(
                name,
                total.line_share(name),
                total.branch_share(name),
                not missed,
                missed,
                packed(content.render(lines=mine, name=name)),
            )
        )
    return templates.get_template("coverage.html.j2").render(
        run=run,
        kernel=coverage.kernel,
        files=files,
        lines=total.line_share(),
        branches=total.branch_share(),
        judgement=judgement,
        scenarios=[(name, one.line_share()) for name, one in coverage.scenarios.items()],
        without=coverage.without,
    )


def _lines(
    coverage: RunCoverage, judgement: Judgement, name: str, bits: dict[str, int]
) -> Sequence[Line]:
    text = coverage.sources.get(name, "")
    return [
        _line(coverage, judgement, (name, number), line, bits)
        for number, line in enumerate(text.splitlines(), 1)
    ]


def _line(
    coverage: RunCoverage,
    judgement: Judgement,
    place: tuple[str, int],
    text: str,
    bits: dict[str, int],
) -> Line:
    total = coverage.total
    count = total.lines.get(place)
    branches = total.branches.get(place, ())
    who = coverage.who(place)
    state = ""
    if count is not None:
        state = "missed" if not count else "reached" if all(branches) else "half"
        if place in judgement.explained:
            state = "explained"
    return Line(
        place[1],
        text.expandtabs(8),
        state,
        count,
        "".join("+" if one else "-" for one in branches),
        len(who),
        f"{sum(bits[one] for one in who):x}",
        judgement.explained.get(place, ""),
    )

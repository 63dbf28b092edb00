"""The steps and automatic checks of a scenario in order, each with its place in time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from lab.report.charts.svg import element
from lab.report.written import arguments, parsed

ROWS = 160
"""Rows that are shown; of more, those within repeats go first."""
DETAIL = 220
"""Characters of what a step found out."""

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """A step or a check. start, duration: seconds, from the beginning of the scenario. given: its
    arguments as the scenario's file has them."""

    place: str
    verb: str
    words: str
    given: str
    depth: int
    start: float
    duration: float
    outcome: str
    detail: str

    @property
    def failed(self) -> bool:
        """Whether it did not go as it must."""
        return self.outcome == "failed"


def rows_of(events: Iterable[Record], source: str, began: float) -> tuple[list[Row], int]:
    """The rows that are shown, and how many others there were; source: the scenario's file."""
    tree = parsed(source)
    numbered = sorted(
        (_key(event, order), _row(event, tree, began))
        for order, event in enumerate(events)
        if event.get("event") in ("StepFinished", "CheckFinished")
    )
    rows = [row for _, row in numbered]
    if len(rows) <= ROWS:
        return rows, 0
    room = ROWS - sum(1 for row in rows if row.depth == 0 or row.failed)
    shown: list[Row] = []
    for row in rows:
        always = row.depth == 0 or row.failed
        if always or room > 0:
            shown.append(row)
            room -= 0 if always else 1
    return shown, len(rows) - len(shown)


def _key(event: Record, order: int) -> tuple[int, int]:
    """Steps in the order of their beginning, then checks."""
    return (0, int(event["index"])) if event["event"] == "StepFinished" else (1, order)


def _row(event: Record, tree: object, began: float) -> Row:
    duration = float(event["duration"])
    start = float(event["time"]) - duration - began
    if event["event"] == "CheckFinished":
        wrong = event["findings"]
        outcome = "failed" if wrong else "held"
        said = str(wrong[0]["what"]) if wrong else details(event["detail"])
        return Row("check", "", str(event["check"]), "", 0, start, duration, outcome, said)
    path, verb, words = str(event["path"]), str(event["verb"]), str(event["summary"])
    return Row(
        place=path,
        verb=verb,
        words="" if words == verb else words,
        given=arguments(tree, path, verb),
        depth=path.count(".repeat["),
        start=start,
        duration=duration,
        outcome=str(event["outcome"]),
        detail=details(event["detail"]),
    )


def details(found: Mapping[str, object]) -> str:
    """What a step found out, in a line."""
    if "error" in found:
        said = str(found["error"])
    else:
        said = ", ".join(
            _said(key, value) for key, value in found.items() if value not in (None, [], {}, "")
        )
    return said if len(said) <= DETAIL else said[: DETAIL - 3] + "..."


def _said(key: str, value: object) -> str:
    if isinstance(value, bool):
        return key if value else f"not {key}"
    said = _plain(value)
    return said if said.startswith(f"{key} ") else f"{key} {said}"


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{key}={item}" for key, item in value.items())
    if isinstance(value, list):
        return " ".join(map(str, value))
    return str(value)


def bar(row: Row, whole: float) -> Markup:
    """The row's place in time, as wide as the page has room for."""
    left = 100.0 * max(0.0, row.start) / whole
    width = max(100.0 * row.duration / whole, 0.4)
    class_ = "bar bad" if row.failed else "bar check" if row.place == "check" else "bar"
    left = min(left, 100.0 - width)
    drawn = element(
        "rect", x=f"{left:.2f}%", y=2, width=f"{width:.2f}%", height=8, rx=2, class_=class_
    )
    return element("svg", drawn, class_="lane", aria_hidden="true")

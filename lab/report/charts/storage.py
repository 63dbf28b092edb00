"""How full a snapshot's difference storage was over time, what was given, and its events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from lab.report.charts.svg import (
    LEFT,
    RIGHT,
    Scale,
    figure,
    line,
    polyline,
    size_text,
    text,
    time_axis,
)
from lab.units import SECTOR

TOP, BOTTOM, HEIGHT = 26, 176, 200
FLAGS = 24
"""Events that get a flag of their own."""

Life = Mapping[str, Any]


def worth_drawing(life: Life) -> bool:
    """Whether anything was copied, or was to be."""
    return any(most for _, _, most in life["fill"]) or any(map(_is_bad, life["events"]))


def _is_bad(event: Sequence[object]) -> bool:
    return "corrupted" in str(event[1])


def fill_chart(life: Life, began: float) -> Markup:
    """One snapshot, from its creation to its end; times from `began` on."""
    start = float(life["created"]) - began
    fill = [(float(at) - began, int(low), int(high)) for at, low, high in life["fill"]]
    given = _steps([(float(at) - began, int(count)) for at, count in life["given"]])
    end = max([start + 0.1, *(at for at, _, _ in fill), *(at for at, _ in given)])
    if life["ended"] is not None:
        end = max(end, float(life["ended"]) - began)
    most = max([1, *(high for _, _, high in fill), *(total for _, total in given)])
    x, y = Scale(start, end, LEFT, RIGHT), Scale(0, most * SECTOR * 1.08, BOTTOM, TOP)
    parts = [time_axis(x, TOP, BOTTOM), *_levels(y, most * SECTOR)]
    if fill:
        parts += _areas(fill, given, x, y)
    if given:
        parts.append(polyline(_stairs(given, start, end, x, y), "given"))
    parts += _flags(life, began, x)
    label = f"Difference storage of snapshot {life['name']} over time"
    return figure(HEIGHT, label, parts)


def needs_more(life: Life) -> bool:
    """Whether its copies surely took more than it was given, at any time."""
    given = _steps([(float(at), int(count)) for at, count in life["given"]])
    return any(int(low) > _given_at(given, float(at)) for at, low, _ in life["fill"])


def _areas(
    fill: Sequence[tuple[float, int, int]], given: Sequence[tuple[float, int]], x: Scale, y: Scale
) -> list[Markup]:
    """What is surely full, what perhaps is, and what there was no room for."""
    room = [_given_at(given, at) for at, _, _ in fill]
    places = [x(at) for at, _, _ in fill]

    def edge(heights: Iterable[int]) -> list[tuple[float, float]]:
        return [(place, y(height * SECTOR)) for place, height in zip(places, heights, strict=True)]

    needed = edge(low for _, low, _ in fill)
    lower = edge(min(low, most) for (_, low, _), most in zip(fill, room, strict=True))
    upper = edge(min(high, most) for (_, _, high), most in zip(fill, room, strict=True))
    floor = [(places[-1], float(BOTTOM)), (places[0], float(BOTTOM))]
    parts = [
        polyline([*lower, *floor], "filled", closed=True),
        polyline([*upper, *reversed(lower)], "perhaps", closed=True),
        polyline(upper, "filled-edge"),
    ]
    if needed != lower:
        parts.insert(0, polyline([*needed, *reversed(lower)], "beyond", closed=True))
    return parts


def _given_at(given: Sequence[tuple[float, int]], at: float) -> int:
    """Sectors given by then, of the steps of what was given."""
    return max((total for when, total in given if when <= at), default=0)


def events_of(life: Life, began: float) -> list[tuple[str, str]]:
    """What the flags stand for: their marks and what happened when."""
    return [
        (str(index), f"{float(at) - began:.2f} s: {said}")
        for index, (at, said) in enumerate(_events(life), 1)
    ]


def _events(life: Life) -> Sequence[tuple[float, str]]:
    taken = [] if life["taken"] is None else [(float(life["taken"]), "taken")]
    told = [(float(at), str(said)) for at, said in life["events"]]
    return sorted([*taken, *told])[:FLAGS]


def _flags(life: Life, began: float, x: Scale) -> list[Markup]:
    parts: list[Markup] = []
    for index, (at, said) in enumerate(_events(life), 1):
        place = x(at - began)
        class_ = "flag bad" if _is_bad((at, said)) else "flag"
        parts.append(line(place, TOP - 6, place, BOTTOM, class_))
        parts.append(text(place, TOP - 10, str(index), class_="mark", anchor="middle"))
    return parts


def _levels(y: Scale, most: float) -> list[Markup]:
    parts: list[Markup] = []
    for share in (0.0, 0.5, 1.0):
        place = y(share * most)
        parts.append(line(LEFT, place, RIGHT, place, "grid"))
        parts.append(text(LEFT - 8, place + 4, size_text(round(share * most)), anchor="end"))
    return parts


def _steps(given: Sequence[tuple[float, int]]) -> list[tuple[float, int]]:
    total, steps = 0, []
    for at, count in sorted(given):
        total += count
        steps.append((at, total))
    return steps


def _stairs(
    given: Sequence[tuple[float, int]], start: float, end: float, x: Scale, y: Scale
) -> list[tuple[float, float]]:
    points = [(x(start), y(0))]
    for at, total in given:
        points += [(x(at), points[-1][1]), (x(at), y(total * SECTOR))]
    return [*points, (x(end), points[-1][1])]

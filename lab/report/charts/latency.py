"""How long the writes of a load took, over time, and what a snapshot made of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from lab.report.charts.svg import LEFT, RIGHT, Scale, boxes, figure, line, text, time_axis
from lab.runner.sampling import start_of

TOP, STEP, FOOT = 12, 7, 40
SHADES = 5

Load = Mapping[str, Any]
Spans = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Spread:
    """Latencies of some writes; seconds, to within a step of the record (a fifth)."""

    writes: int
    half: float
    slow: float
    """99 of a hundred were faster."""


def held_spans(
    lives: Iterable[Mapping[str, Any]], device: str, end: float
) -> list[tuple[float, float]]:
    """When snapshots of a device were held, so that its writes may have had to wait for copies."""
    return [
        (float(life["taken"]), end if life["ended"] is None else float(life["ended"]))
        for life in lives
        if life["taken"] is not None and device in life["devices"]
    ]


def spread(load: Load, spans: Spans, *, held: bool) -> Spread | None:
    """Latencies of the writes that ended while a snapshot was held, or of the others."""
    counts: dict[int, int] = {}
    for slot, step, count in load["counts"]:
        middle = float(load["first"]) + (slot + 0.5) * float(load["slot"])
        if any(start <= middle <= end for start, end in spans) is held:
            counts[step] = counts.get(step, 0) + count
    total = sum(counts.values())
    if not total:
        return None
    return Spread(total, _quantile(counts, total * 0.5), _quantile(counts, total * 0.99))


def _quantile(counts: Mapping[int, int], wanted: float) -> float:
    passed = 0
    for step in sorted(counts):
        passed += counts[step]
        if passed >= wanted:
            return start_of(step + 1)
    return 0.0


def latency_chart(load: Load, spans: Spans, began: float) -> Markup:
    """Slots of time from left to right, latency upwards; the darker, the more writes."""
    steps = [step for _, step, _ in load["counts"]]
    low, high = min(steps), max(steps) + 1
    bottom = TOP + (high - low) * STEP
    first, slot = float(load["first"]) - began, float(load["slot"])
    last = first + (max(number for number, _, _ in load["counts"]) + 1) * slot
    x = Scale(first, last, LEFT, RIGHT)
    most = max(count for _, _, count in load["counts"])
    shades: dict[int, list[tuple[float, float, float, float]]] = {}
    for number, step, count in load["counts"]:
        left, right = x(first + number * slot), x(first + (number + 1) * slot)
        place = (left, bottom - (step - low + 1) * STEP, max(right - left, 1.0), STEP)
        shades.setdefault(_shade(count, most), []).append(place)
    parts = [time_axis(x, TOP, bottom), *_marks(low, high, bottom)]
    parts += [boxes(places, f"heat{shade}") for shade, places in sorted(shades.items())]
    held = [
        (x(start - began), bottom + 24, x(end - began) - x(start - began), 6)
        for start, end in spans
        if end - began > first and start - began < last
    ]
    parts.append(boxes(held, "held"))
    if held:
        parts.append(text(LEFT - 8, bottom + 30, "held", anchor="end"))
    label = f"Latency of the writes of load {load['load']} over time"
    return figure(bottom + FOOT, label, parts)


def _marks(low: int, high: int, bottom: float) -> list[Markup]:
    """Powers of ten on the left."""
    parts: list[Markup] = []
    for power in range(-6, 3):
        seconds = 10.0**power
        steps = [
            step for step in range(low, high + 1) if start_of(step) <= seconds < start_of(step + 1)
        ]
        if steps:
            y = bottom - (steps[0] - low) * STEP
            parts.append(line(LEFT, y, RIGHT, y, "grid"))
            parts.append(text(LEFT - 8, y + 4, latency_text(seconds), anchor="end"))
    return parts


def _shade(count: int, most: int) -> int:
    """1 to 5 by orders of magnitude below the fullest."""
    shade = SHADES
    while shade > 1 and count * 4 <= most:
        count *= 4
        shade -= 1
    return shade


def latency_text(seconds: float) -> str:
    """E.g. "120 µs", "3.4 ms"."""
    for factor, unit in ((1e6, "µs"), (1e3, "ms")):
        if seconds * factor < 999.5:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds:.3g} s"

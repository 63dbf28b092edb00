"""What the details of one scenario show, gathered from its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from lab.report.charts.latency import (
    Spread,
    held_spans,
    latency_chart,
    latency_text,
    spread,
)
from lab.report.charts.maps import by_device, caption, heat_map
from lab.report.charts.sectors import SectorMap
from lab.report.charts.storage import events_of, fill_chart, needs_more, worth_drawing
from lab.report.lines import Log, log_of
from lab.report.stored import StoredRun, StoredScenario
from lab.report.timeline import bar, rows_of

GREEN_LINES, RED_LINES = 60, 1200
"""Lines of each log in the page; the rest is in the results."""
YAML_LINES = 400
EVIDENCE_LINES = 150
LIVES, PICTURES, MAPS = 6, 6, 8
"""Snapshots, disagreements and devices that are drawn."""

Record = Mapping[str, Any]


@dataclass(frozen=True)
class DrawnLife:
    """A snapshot: when it was created (seconds), its plot, and what the plot's flags are."""

    life: Record
    created: float
    chart: Markup
    events: list[tuple[str, str]]
    overflowed: bool


@dataclass(frozen=True)
class DrawnMap:
    """The maps of a device."""

    device: str
    chart: Markup
    caption: str


@dataclass(frozen=True)
class DrawnLoad:
    """The latencies of a load; seconds. spreads: of which writes, and theirs."""

    name: str
    device: str
    longest: float
    chart: Markup
    spreads: list[tuple[str, Spread]]


@dataclass(frozen=True)
class DrawnPicture:
    """A disagreement and its drawings."""

    picture: Record
    drawn: SectorMap


def scenario_values(one: StoredScenario, run: StoredRun) -> dict[str, object]:
    """All that the template of a scenario uses."""
    figures, places = one.record("figures.json"), one.record("places.json")
    lines = GREEN_LINES if one.green else RED_LINES
    rows, rows_left_out = rows_of(one.events(), one.text("scenario.yaml"), one.started)
    lives = figures.get("snapshots", ())
    worth = [life for life in lives if worth_drawing(life)]
    return {
        "one": one,
        "release": run.facts.get(one.kernel, {}).get("kernel_release", ""),
        "rows": rows,
        "rows_left_out": rows_left_out,
        "whole": max(one.duration, 0.001),
        "bar": bar,
        "latency": latency_text,
        "sector_maps": [
            DrawnPicture(picture, SectorMap(picture))
            for picture in figures.get("disagreements", ())[:PICTURES]
            if picture["parts"]
        ],
        "lives": [
            DrawnLife(
                life,
                float(life["created"]) - one.started,
                fill_chart(life, one.started),
                events_of(life, one.started),
                needs_more(life),
            )
            for life in worth[:LIVES]
        ],
        "lives_left_out": len(worth[LIVES:]) + int(figures.get("snapshots_left_out", 0)),
        "lives_empty": len(lives) - len(worth),
        "heat_maps": _heat_maps(figures),
        "loads": _loads(one, figures),
        "kernel_log": log_of(one.text("kernel.log"), places, lines),
        "console": log_of(one.text("console.log"), places, lines),
        "blocked": log_of(one.text("blocked-tasks.txt"), places, RED_LINES),
        "every_io": log_of(one.text("every-io.txt"), {}, RED_LINES),
        "yaml": log_of(one.text("scenario.yaml"), {}, YAML_LINES),
        "evidence": _evidence,
    }


def _evidence(detail: Sequence[str]) -> Log:
    """The first lines of evidence; their places are behind them already."""
    return log_of("\n".join(detail[:EVIDENCE_LINES]), {}, EVIDENCE_LINES)


def _heat_maps(figures: Record) -> list[DrawnMap]:
    devices = by_device(figures.get("maps", ()))
    left_out = int(figures.get("maps_left_out", 0))
    return [
        DrawnMap(device, heat_map(device, rows), caption(rows, left_out))
        for device, rows in list(devices.items())[:MAPS]
    ]


def _loads(one: StoredScenario, figures: Record) -> list[DrawnLoad]:
    drawn = []
    for load in figures.get("latencies", ()):
        end = one.started + one.duration
        spans = held_spans(figures.get("snapshots", ()), load["device"], end)
        kinds = (("while a snapshot was held", True), ("otherwise", False))
        found = [(words, spread(load, spans, held=held)) for words, held in kinds]
        drawn.append(
            DrawnLoad(
                load["load"],
                load["device"],
                float(load["longest"]),
                latency_chart(load, spans, one.started),
                [(words, part) for words, part in found if part is not None],
            )
        )
    return drawn

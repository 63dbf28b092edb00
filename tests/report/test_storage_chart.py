"""How full difference storage was: never fuller than what it was given."""

from __future__ import annotations

import re
from typing import Any

import pytest

from lab.report.charts.storage import fill_chart, needs_more, worth_drawing


def life(*fill: tuple[float, int, int], events: tuple[tuple[float, str], ...] = ()) -> Any:
    return {
        "name": "s",
        "created": 10.0,
        "taken": 11.0,
        "ended": 20.0,
        "fill": fill,
        "given": [(10.5, 1000), (15.0, 500)],
        "events": events,
    }


def heights(chart: str, class_: str) -> list[float]:
    """The places of an area's corners from the top down."""
    (path,) = re.findall(rf'd="M([^"]*)" class="{class_}"', chart)
    return [float(corner.split()[1]) for corner in path.removesuffix("z").split("L")]


@pytest.mark.parametrize(
    ("fill", "more"),
    [
        ([(11.0, 0, 0), (12.0, 900, 1000)], False),
        ([(11.0, 0, 0), (12.0, 900, 1100)], False),
        ([(12.0, 1100, 1100)], True),
        ([(15.5, 1100, 1500)], False),
        ([(15.5, 1600, 1600)], True),
    ],
)
def test_what_there_is_no_room_for_is_shown_as_that(fill: Any, more: bool) -> None:
    one = life(*fill)
    assert needs_more(one) is more
    chart = fill_chart(one, 10.0)
    assert ('class="beyond"' in chart) is more
    given = min(heights(chart, "given"))
    assert min(heights(chart, "filled")) >= given
    assert min(heights(chart, "perhaps")) >= given
    if more:
        assert min(heights(chart, "beyond")) < min(heights(chart, "filled"))


def test_snapshots_that_nothing_was_copied_for_are_not_drawn() -> None:
    low, bad = (10.1, "event low_space, 8 sectors asked for"), (12.0, "event corrupted, device a")
    assert not worth_drawing(life((11.0, 0, 0), events=(low,)))
    assert worth_drawing(life((11.0, 0, 0), events=(low, bad)))
    assert worth_drawing(life((11.0, 0, 8)))

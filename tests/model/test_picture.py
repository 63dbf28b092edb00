"""Pictures of disagreements: what lies where around them, within limits."""

from __future__ import annotations

from lab.model.disagreement import Disagreement, general
from lab.model.picture import COLUMNS, PARTS, Part, paint


def wrong(first: int, count: int, found: str = "zeros") -> Disagreement:
    return Disagreement("image of a", first, count, "sector", found, "write 1")


def test_right_runs_around_and_between_are_shown_up_to_the_margin() -> None:
    seen = [Part(0, 100, "write 1"), Part(100, 4, "zeros"), Part(104, 896, "write 1")]
    picture = paint(1000, [wrong(100, 4)], seen)
    assert picture is not None
    assert picture.parts == (
        Part(92, 8, "write 1"),
        Part(100, 4, "zeros", "write 1"),
        Part(104, 8, "write 1"),
    )
    assert (picture.wrong, picture.unit, picture.where) == (4, "sector", "image of a")


def test_a_run_that_is_wrong_in_part_is_shown_in_its_parts() -> None:
    seen = [Part(0, 64, "write 2")]
    found = [wrong(8, 8, "write 2"), wrong(24, 8, "write 2")]
    picture = paint(64, found, seen)
    assert picture is not None
    spans = [(part.first, part.count, bool(part.allowed)) for part in picture.parts]
    assert spans == [(0, 8, False), (8, 8, True), (16, 8, False), (24, 8, True), (32, 8, False)]


def test_the_whole_device_is_counted_in_columns() -> None:
    size = 10 * COLUMNS + 3
    picture = paint(size, [wrong(5, 20), wrong(size - 1, 1)], [])
    assert picture is not None
    assert picture.per_column == 11
    assert picture.columns[:4] == (6, 11, 3, 0)
    assert sum(picture.columns) == 21
    assert picture.columns[-1] == 1
    assert len(picture.columns) * picture.per_column >= size


def test_no_more_than_so_many_runs_are_kept() -> None:
    found = [wrong(10 * number, 5) for number in range(1000)]
    seen = [Part(5 * number, 5, f"write {number}") for number in range(2000)]
    picture = paint(10_000, found, seen)
    assert picture is not None
    assert len(picture.parts) == PARTS
    assert picture.wrong == 5000
    ends = [part.end for part in picture.parts]
    assert ends[:-1] == [part.first for part in picture.parts][1:]


def test_what_has_no_place_has_no_picture() -> None:
    assert paint(10, [general("tracker of a", "number 2", "number 3")], []) is None

"""What gcov says becomes lines and branches of the module, and can be added up.

The JSON was recorded: gcov 12 over three files of the module as lifecycle/worked-example left them.
"""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from lab.coverage.gcov import _read, reached
from lab.coverage.lines import Reached, Share, added
from lab.errors import LabError

RECORDED = Path(__file__).parent / "data/gcov-12.jsonl.gz"


@pytest.fixture(scope="module")
def units() -> list[dict[str, Any]]:
    with gzip.open(RECORDED, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def test_only_files_of_the_module_count(units: list[dict[str, Any]]) -> None:
    everything = {file["file"] for unit in units for file in unit["files"]}
    assert any(name.endswith("include/linux/module.h") for name in everything)
    assert reached(units).files == (
        "compat.h",
        "compat_bio.h",
        "filter_hook.c",
        "filter_registry.h",
        "filter_walk.c",
        "main.c",
    )


def test_lines_and_branches_have_their_counts(units: list[dict[str, Any]]) -> None:
    found = reached(units)
    assert found.lines["main.c", 53] == 7  # six parts come up, and the loop ends
    assert found.branches["main.c", 53] == (6, 1)
    assert found.branches["main.c", 56] == (0, 6)  # none of them fails
    assert found.lines["main.c", 57] == 0
    assert found.line_share("main.c") == Share(14, 16)
    assert found.branch_share("main.c") == Share(5, 8)


def test_functions_tell_how_often_they_were_entered(units: list[dict[str, Any]]) -> None:
    found = reached(units).functions["main.c", "blksnap_exit"]
    assert (found.line, found.count) == (67, 1)


def test_a_header_is_one_file_wherever_it_was_compiled(units: list[dict[str, Any]]) -> None:
    each = [reached([unit]).lines.keys() for unit in units]
    header = {place for lines in each for place in lines if place[0] == "compat_bio.h"}
    assert sum(any(place[0] == "compat_bio.h" for place in lines) for lines in each) == 2
    assert {p for p in reached(units).lines if p[0] == "compat_bio.h"} == header


def test_counts_add_up(units: list[dict[str, Any]]) -> None:
    once = reached(units)
    twice = added([once, once])
    assert twice.lines["main.c", 53] == 14
    assert twice.branches["main.c", 53] == (12, 2)
    assert twice.functions["main.c", "blksnap_init"].count == 2
    assert twice.line_share() == once.line_share()


def test_copies_with_different_numbers_of_branches_add_up() -> None:
    place = ("a.h", 1)
    found = added([Reached({place: 1}, {place: (1, 0)}), Reached({place: 1}, {place: (0, 0, 4)})])
    assert found.branches[place] == (1, 0, 4)


def test_what_is_missed_is_told_apart() -> None:
    lines = {("a.c", 1): 5, ("a.c", 2): 0, ("b.c", 7): 1}
    branches = {("a.c", 1): (5, 0), ("a.c", 2): (0, 0), ("b.c", 7): (1, 1)}
    found = Reached(lines, branches)
    assert found.unreached_lines() == [("a.c", 2)]
    assert found.half_reached_lines() == [("a.c", 1)]


def test_nothing_is_reached_completely() -> None:
    assert Reached().line_share().percent == 100.0


def test_counters_of_another_build_are_refused(tmp_path: Path) -> None:
    (tmp_path / "lines.json").write_text("")
    (tmp_path / "complaints.txt").write_text(
        "b.gcda:cannot open data file, assuming not executed\n"
        "a.gcda:stamp mismatch with notes file\n"
    )
    with pytest.raises(LabError, match="stamp mismatch"):
        _read(tmp_path)


@pytest.mark.parametrize(
    ("lines", "branches", "words"),
    [
        (9, 8, []),
        (8, 8, ["80.0 % of all lines"]),
        (9, 7, ["70.0 % of all branches"]),
        (0, 0, ["0.0 % of all lines", "0.0 % of all branches"]),
    ],
)
def test_too_little_is_told(lines: int, branches: int, words: list[str]) -> None:
    """`lines`, `branches`: how many of ten are reached."""
    found = Reached(
        {("a.c", number): int(number < lines) for number in range(10)},
        {("a.c", 0): tuple(int(number < branches) for number in range(10))},
    )
    assert len(found.shortages) == len(words)
    assert all(word in said for word, said in zip(words, found.shortages, strict=True))

"""Shards: every scenario is in exactly one, and they take about equal time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.data import data_folder
from lab.errors import UsageError
from lab.runner.shard import (
    START,
    Shard,
    duration_table,
    recorded_durations,
    shares,
)
from lab.scenario.load import find_scenarios, load_all

NAMES = st.lists(st.text("abc/-", min_size=1, max_size=6), unique=True, max_size=60)
COUNTS = st.integers(1, 9)
SECONDS = st.floats(0.1, 600.0)


@st.composite
def selections(draw: st.DrawFn) -> tuple[list[str], dict[str, float]]:
    """Names, and how long some of them, and some others, take."""
    names = draw(NAMES)
    known = draw(st.lists(st.sampled_from([*names, "gone"]), unique=True))
    return names, {name: draw(SECONDS) for name in known}


@given(selections(), COUNTS, st.randoms())
def test_every_scenario_is_in_exactly_one_shard_whatever_the_order(
    selection: tuple[list[str], dict[str, float]], count: int, random: object
) -> None:
    names, durations = selection
    parts = shares(names, durations, count)
    assert len(parts) == count
    assert sorted(name for part in parts for name in part) == sorted(names)
    mixed = list(names)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert shares(mixed, durations, count) == parts


@given(selections(), COUNTS)
def test_no_shard_is_longer_than_the_shortest_by_more_than_one_scenario(
    selection: tuple[list[str], dict[str, float]], count: int
) -> None:
    names, known = selection
    durations = {name: known.get(name, 7.0) for name in names}
    loads = []
    for part in shares(names, durations, count):
        loads.append([START + durations[name] for name in part])
    shortest = min(map(sum, loads))
    assert all(sum(one) - min(one) <= shortest + 1e-6 for one in loads if one)


def test_the_shards_of_all_scenarios_are_about_equal() -> None:
    root = data_folder("scenarios")
    scenarios = load_all(find_scenarios(root), root)
    table = recorded_durations()
    for count in (2, 4, 5):
        parts = [Shard(number, count).part_of(scenarios, table) for number in range(1, count + 1)]
        assert sorted(one.name for part in parts for one in part) == sorted(
            s.name for s in scenarios
        )
        times = [sum(START + table.get(one.name, 8.0) for one in part) for part in parts]
        assert max(times) < 1.1 * min(times)


def test_the_table_has_every_scenario_that_runs_by_default() -> None:
    root = data_folder("scenarios")
    names = {one.name for one in load_all(find_scenarios(root), root) if one.default}
    missing = sorted(names - set(recorded_durations()))
    assert missing == [], "run them, then: ci/lab ci record results/latest"


@pytest.mark.parametrize("text", ["", "0/2", "3/2", "1", "1/", "/2", "a/b", "-1/2", "1/0", "1/2/3"])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no part of a whole"):
        Shard.parse(text)


def test_a_part_is_read() -> None:
    assert Shard.parse("2/5") == Shard(2, 5)


def test_a_new_table_has_what_was_seen_and_keeps_the_rest() -> None:
    passed = [("a/x", 1.0), ("a/x", 3.0), ("a/x", 2.0), ("gone/z", 9.0)]
    text = duration_table({"a/x": 100.0, "a/y": 4.25, "old/w": 1.0}, passed, ["a/x", "a/y", "a/n"])
    rows = [line.split() for line in text.splitlines() if not line.startswith("#")]
    assert rows == [["2.0", "a/x"], ["4.2", "a/y"]]

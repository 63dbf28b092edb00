"""RunMap against a plain list."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.model.runmap import RunMap

SIZE = 40
positions = st.integers(0, SIZE + 4)
changes = st.lists(
    st.tuples(st.sampled_from(["set", "add"]), positions, positions, st.integers(0, 3))
)


def apply(runs: RunMap[int], plain: list[int], change: tuple[str, int, int, int]) -> None:
    kind, start, count, value = change
    inside = range(start, min(start + count, SIZE))
    if kind == "set":
        runs.set(start, count, value)
        for i in inside:
            plain[i] = value
    else:
        runs.update(start, count, lambda old: (old + value) % 3)
        for i in inside:
            plain[i] = (plain[i] + value) % 3


@given(changes)
def test_it_holds_what_a_list_holds_in_the_fewest_runs(
    todo: list[tuple[str, int, int, int]],
) -> None:
    runs, plain = RunMap(SIZE, 0), [0] * SIZE
    for change in todo:
        apply(runs, plain, change)
        assert [runs[i] for i in range(SIZE)] == plain
        fewest = 1 + sum(a != b for a, b in itertools.pairwise(plain))
        assert len(runs) == fewest
        assert [run.value for run in runs.runs() for _ in range(run.count)] == plain


@given(changes, positions, positions)
def test_a_part_of_it_is_that_part_of_the_list(
    todo: list[tuple[str, int, int, int]], start: int, count: int
) -> None:
    runs, plain = RunMap(SIZE, 0), [0] * SIZE
    for change in todo:
        apply(runs, plain, change)
    wanted = plain[start : start + count]
    assert [run.value for run in runs.runs(start, count) for _ in range(run.count)] == wanted
    part = runs.window(start, count)
    assert [part[i] for i in range(part.size)] == wanted
    part.set(0, None, 9)
    assert [runs[i] for i in range(SIZE)] == plain


@given(changes, st.integers(0, 60))
def test_resizing_keeps_what_is_left_and_fills_what_is_new(
    todo: list[tuple[str, int, int, int]], size: int
) -> None:
    runs, plain = RunMap(SIZE, 0), [0] * SIZE
    for change in todo:
        apply(runs, plain, change)
    other = runs.resized(size, 7)
    assert (
        [other[i] for i in range(size)] == (plain + [7] * 60)[:size]
        if size <= SIZE
        else (plain + [7] * (size - SIZE))
    )


def test_a_mapped_copy_joins_what_became_equal() -> None:
    runs = RunMap(10, 1)
    runs.set(3, 2, 2)
    halved: Callable[[int], int] = lambda value: value // 3  # noqa: E731
    assert len(runs.mapped(halved)) == 1


def test_reading_outside_is_an_error() -> None:
    with pytest.raises(IndexError):
        RunMap(4, 0)[4]


def test_a_large_sparse_device_with_many_fragments_is_no_burden() -> None:
    sectors = 64 << 31
    runs = RunMap(sectors, 0)
    step = sectors // 20_000
    for i in range(20_000):
        runs.set(i * step, 8, i + 1)
    copied = runs.copy()
    runs.set(0, None, 0)
    assert len(runs) == 1
    assert len(copied) == 40_000

"""The model of the CBT map against a naive one, and the rules of its numbers."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.model.cbt import CbtModel, blocks_to_ranges
from lab.model.seen import LoadWrite, MapRun, TrackerSeen
from lab.model.sizes import tracking_grain
from lab.units import GIB, MIB, TIB, sectors

BLOCK = 128
SECTORS = 20 * BLOCK + 3


def cbt() -> CbtModel:
    return CbtModel("a", SECTORS, {}, set())


def runs_of(values: list[int]) -> list[MapRun]:
    return [MapRun(i, 1, value) for i, value in enumerate(values)]


class Naive:
    """Two byte arrays, as the interface describes them."""

    def __init__(self) -> None:
        self.write = [0] * 21
        self.read = [0] * 21
        self.previous, self.active = 0, 1

    def mark(self, sector: int, count: int) -> None:
        for at in range(sector, sector + count):
            self.write[at // BLOCK] = self.active

    def mark_both(self, sector: int, count: int) -> None:
        self.mark(sector, count)
        for at in range(sector, sector + count):
            self.read[at // BLOCK] = max(self.read[at // BLOCK], self.previous)

    def take(self) -> None:
        if self.active == 255:
            self.write = [0] * 21
            self.active = 1
        self.read = list(self.write)
        self.previous, self.active = self.active, self.active + 1


ranges = st.tuples(st.integers(0, SECTORS - 1), st.integers(1, 400)).map(
    lambda pair: (pair[0], min(pair[1], SECTORS - pair[0]))
)
actions = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["mark", "mark_both"]), ranges),
        st.tuples(st.just("take"), st.just((0, 0))),
    ),
    max_size=60,
)


@given(actions)
def test_synchronous_writes_give_every_byte_exactly(
    todo: list[tuple[str, tuple[int, int]]],
) -> None:
    model, naive = cbt(), Naive()
    for kind, (sector, count) in todo:
        if kind == "take":
            model.taken(0, 0)
            naive.take()
        else:
            getattr(model, kind)(sector, count)
            getattr(naive, kind)(sector, count)
        assert model.compare(runs_of(naive.read)) == ()
    wrong = [(value + 1) % 256 for value in naive.read]
    assert sum(one.count for one in model.compare(runs_of(wrong))) == 21


def test_the_take_that_would_report_255_begins_a_new_generation_with_an_empty_map() -> None:
    model = cbt()
    for number in range(1, 255):
        model.mark(0, 1)
        model.taken(0, 0)
        assert model.previous == number
    model.mark(0, 1)
    model.taken(0, 0)
    assert (model.previous, model.active) == (1, 2)
    assert model.compare([MapRun(0, 21, 0)]) == ()
    model.mark(200, 1)
    model.taken(0, 0)
    assert model.compare(runs_of([0, 2] + [0] * 19)) == ()


def test_another_size_begins_a_new_generation_at_the_next_take() -> None:
    model = cbt()
    model.mark(0, 1)
    model.taken(0, 0)
    model.resized(SECTORS * 2)
    model.mark(SECTORS + 5, 10)
    assert model.grain.count == 21
    model.taken(0, 0)
    assert (model.previous, model.grain.count) == (1, 41)
    assert model.compare([MapRun(0, 41, 0)]) == ()


def seen(generation: str, number: int, **changed: int) -> TrackerSeen:
    values = {"block_size": 65536, "capacity": SECTORS * 512, "block_count": 21} | changed
    return TrackerSeen(generation=generation, number=number, **values)


def test_a_tracker_that_changes_its_generation_without_reason_is_told() -> None:
    model = cbt()
    assert model.observe(seen("one", 0)) == ()
    model.taken(0, 0)
    assert model.observe(seen("one", 1)) == ()
    assert "as before" in str(model.observe(seen("two", 1))[0])
    assert len(model.observe(seen("one", 2, block_count=20))) == 2


def test_a_generation_id_of_the_past_is_told() -> None:
    used: set[str] = set()
    before = CbtModel("a", SECTORS, {}, used)
    assert before.observe(seen("one", 0)) == ()
    again = CbtModel("a", SECTORS, {}, used)
    assert "a new one" in str(again.observe(seen("one", 0))[0])


def load(issued: int, done: int | None, sector: int = 0) -> LoadWrite:
    return LoadWrite(1, sector, 1, issued, done)


@pytest.mark.parametrize(
    ("write", "read_map", "next_map"),
    [
        (load(10, 90), {1}, {1}),
        (load(90, 150), {0, 1}, {1, 2}),
        (load(110, 190), {0, 1}, {1, 2}),
        (load(150, 250), {0, 1}, {1, 2}),
        (load(210, 250), {0}, {2}),
        (load(90, None), {0, 1}, {0, 1, 2}),
    ],
)
def test_a_write_of_a_load_is_counted_on_the_side_of_the_take_that_its_times_allow(
    write: LoadWrite, read_map: set[int], next_map: set[int]
) -> None:
    model = cbt()
    model.taken(100, 200)
    model.mark_load(write)
    rest = [0] * 20
    right = {v for v in range(5) if model.compare(runs_of([v, *rest])) == ()}
    assert right == read_map
    model.taken(300, 400)
    right = {v for v in range(5) if model.compare(runs_of([v, *rest])) == ()}
    assert right == next_map


@pytest.mark.parametrize(
    ("write", "read_map"),
    [
        (load(10, 40), {0}),
        (load(40, 55), {0, 1}),
        (load(55, 58), {0, 1}),
        (load(55, 90), {0, 1}),
        (load(70, 90), {1}),
        (load(40, None), {0, 1}),
    ],
)
def test_a_write_of_a_load_from_before_the_tracking_is_not_counted(
    write: LoadWrite, read_map: set[int]
) -> None:
    model = cbt()
    model.began(50, 60)
    model.taken(100, 200)
    model.mark_load(write)
    right = {v for v in range(5) if model.compare(runs_of([v] + [0] * 20)) == ()}
    assert right == read_map


def test_a_part_of_a_map_is_compared_as_far_as_there_is_one() -> None:
    model = cbt()
    assert model.compare([MapRun(15, 5, 0)], 15, 5) == ()
    assert model.compare([MapRun(15, 6, 0)], 15, 100) == ()
    assert model.compare([], 21, 5) == ()
    assert model.compare([MapRun(21, 1, 0)], 21, 5) != ()
    assert "up to 20" in str(model.compare([MapRun(15, 4, 0)], 15, 5)[0])
    assert model.compare([MapRun(15, 5, 1)], 15, 5) != ()


def test_a_gap_or_a_short_map_is_told() -> None:
    model = cbt()
    assert "gap" in str(model.compare([MapRun(0, 5, 0), MapRun(6, 15, 0)])[0])
    assert "blocks up to 20" in str(model.compare([MapRun(0, 20, 0)])[0])
    assert model.compare([MapRun(0, 22, 0)]) != ()


@pytest.mark.parametrize(
    ("size", "block", "count"),
    [
        (128 * GIB, 64 << 10, 2097152),
        (129 * GIB, 128 << 10, 1056768),
        (6 * TIB, 4 * MIB, 1572864),
        (64 * TIB, 32 * MIB, 2097152),
        (256 * TIB, 64 * MIB, 4194304),
        (1000, 65536, 1),
    ],
)
def test_block_size_and_count_follow_the_rule(size: int, block: int, count: int) -> None:
    grain = tracking_grain(-(-size // 512), {})
    assert (grain.sectors * 512, grain.count) == (block, count)


@settings(max_examples=50)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(0, 5), st.integers(0, 127))
def test_ranges_to_copy_are_the_blocks_above_a_number(
    values: list[int], since: int, short: int
) -> None:
    size = len(values) * BLOCK - short
    ranges = blocks_to_ranges(runs_of(values), since, BLOCK, size)
    covered = {at for start, count in ranges for at in range(start, start + count)}
    assert covered == {at for at in range(size) if values[at // BLOCK] > since}
    assert all(a + n < b for (a, n), (b, _) in itertools.pairwise(ranges))


def test_sizes_are_in_sectors() -> None:
    assert tracking_grain(sectors(2 * MIB), {"tracking_block_minimum_shift": 12}).count == 512

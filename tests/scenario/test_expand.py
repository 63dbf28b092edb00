"""Compact spellings stand for the same ranges at every run."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.errors import UsageError
from lab.scenario.expand import cut, pieces_of, random_ranges, ranges_of
from lab.scenario.steps_io import RandomRanges, Write
from lab.scenario.steps_snapshot import PieceOrder, Pieces


@settings(max_examples=60)
@given(st.integers(1, 60), st.sampled_from([512, 4096]), st.integers(1, 9), st.integers(0, 5))
def test_random_ranges_are_aligned_within_bounds_and_never_overlap(
    count: int, align: int, seed: int, turn: int
) -> None:
    wanted = RandomRanges.model_validate(
        {
            "count": count,
            "sizes": [align, align * 6],
            "align": align,
            "seed": seed,
            "within": {"at": "64KiB", "size": "1MiB"},
        }
    )
    found = random_ranges(wanted, 1 << 20, turn)
    assert found == random_ranges(wanted, 1 << 20, turn)
    assert found != random_ranges(wanted, 1 << 20, turn + 1)
    taken = [at for sector, n in found for at in range(sector, sector + n)]
    assert len(taken) == len(set(taken))
    assert min(taken) >= 128
    assert max(taken) < 128 + 2048
    for sector, n in found:
        assert (sector * 512) % align == 0
        assert align <= n * 512 <= align * 6
    assert len(found) == count


def test_random_ranges_that_cannot_be_are_refused_in_words() -> None:
    wanted = RandomRanges.model_validate({"count": 1, "sizes": ["32MiB", "64MiB"]})
    with pytest.raises(UsageError, match="no range of 32MiB fits into 16MiB"):
        random_ranges(wanted, 32768)


def test_a_place_left_out_is_the_whole_device() -> None:
    write = Write.model_validate({"device": "a"})
    assert ranges_of(write, 100) == [(0, 100)]
    write = Write.model_validate({"device": "a", "at": "10s"})
    assert ranges_of(write, 100) == [(10, 90)]


def test_long_ranges_are_cut_and_keep_their_order() -> None:
    assert cut([(0, 5), (100, 2)], 2) == [(0, 2), (2, 2), (4, 1), (100, 2)]


@pytest.mark.parametrize("order", list(PieceOrder))
def test_pieces_have_the_sum_asked_for_and_never_touch(order: PieceOrder) -> None:
    pieces = Pieces.model_validate(
        {"devices": ["x", "y", "z"], "total": "64MiB", "count": 10000, "order": order.value}
    )
    calls = pieces_of(pieces, {"x": 81920, "y": 81920, "z": 81920})
    placed = sorted((name, *piece) for name, ranges in calls for piece in ranges)
    assert len(placed) == 10000
    assert sum(count for _, _, count in placed) == (64 << 20) // 512
    assert {name for name, _, _ in placed} == {"x", "y", "z"}
    assert all(sector % 8 == 0 and count % 8 == 0 and count > 0 for _, sector, count in placed)
    assert len({count for _, _, count in placed}) > 5
    for (name, sector, count), (after, following, _) in itertools.pairwise(placed):
        assert name != after or sector + count < following
        assert sector + count <= 81920
    assert max(len(ranges) for _, ranges in calls) <= pieces.batch

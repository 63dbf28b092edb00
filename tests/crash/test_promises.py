"""Promises: kept ones are seen as kept; swallowed and late flushes, dropped FUA, swapped writes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.crash.ledger import Ledger
from lab.crash.log import Flag, WriteLog
from lab.crash.promises import epochs, first_difference, unkept

from .logs import FLUSH, TAG, Put, write_log

ROUNDS = [
    [Put(0, 8, 1), Put(8, 8, 2), FLUSH],
    [Put(0, 8, 3), Put(64, 8, 4), FLUSH],
    [Put(8, 8, 5, Flag.FUA)],
    [Put(16, 8, 6, Flag.FUA)],
    [Put(24, 8, 7), FLUSH],
]


def kept_log() -> list[Put]:
    return [put for puts in ROUNDS for put in puts]


def ledger() -> Ledger:
    """What the writer of ROUNDS was told."""
    found = Ledger()
    for puts in ROUNDS:
        writes = [(put.sector, put.count, put.seq) for put in puts if put.count]
        if puts[0].flags & Flag.FUA:
            found.wrote_safely(writes, at_once=1)
        else:
            found.wrote(writes)
            found.synced()
    return found


def wrong_with(tmp_path: Path, puts: list[Put]) -> list[str]:
    told = ledger()
    with WriteLog(write_log(tmp_path / "log", puts)) as log:
        return unkept(log, TAG, told.promises, told.acknowledged)


def test_a_log_that_keeps_all_promises(tmp_path: Path) -> None:
    assert wrong_with(tmp_path, kept_log()) == []


@pytest.mark.parametrize("place", [2, 5, 9])
def test_a_flush_that_was_swallowed(tmp_path: Path, place: int) -> None:
    puts = kept_log()
    assert puts[place] == FLUSH
    del puts[place]
    assert wrong_with(tmp_path, puts)


@pytest.mark.parametrize("place", [2, 5])
def test_a_flush_that_came_after_the_next_write(tmp_path: Path, place: int) -> None:
    puts = kept_log()
    puts.insert(place + 1, puts.pop(place))
    assert wrong_with(tmp_path, puts)


@pytest.mark.parametrize("place", [6, 7])
def test_a_fua_that_was_dropped(tmp_path: Path, place: int) -> None:
    puts = kept_log()
    puts[place] = replace(puts[place], flags=Flag(0))
    assert wrong_with(tmp_path, puts)


def test_a_write_that_was_lost(tmp_path: Path) -> None:
    puts = kept_log()
    del puts[1]
    assert wrong_with(tmp_path, puts)


def test_an_older_write_after_a_newer_one(tmp_path: Path) -> None:
    puts = kept_log()
    puts[0], puts[3] = puts[3], puts[0]
    assert any("comes after" in what for what in wrong_with(tmp_path, puts))


def test_data_of_another_place(tmp_path: Path) -> None:
    path = write_log(tmp_path / "log", kept_log())
    data = bytearray(path.read_bytes())
    data[3 * 512], data[4 * 512 + 8] = 0, 99
    path.write_bytes(data)
    with WriteLog(path) as log:
        assert any("no stamp of this disk" in what for what in unkept(log, TAG, [], 0))


def test_several_at_once_are_promised_only_together(tmp_path: Path) -> None:
    told = Ledger()
    told.wrote_safely([(0, 1, 1), (1, 1, 2)], at_once=2)
    puts = [Put(1, 1, 2, Flag.FUA), Put(0, 1, 1, Flag.FUA)]
    with WriteLog(write_log(tmp_path / "log", puts)) as log:
        assert unkept(log, TAG, told.promises, told.acknowledged) == []


def test_what_was_under_way_when_the_power_failed_is_not_promised(tmp_path: Path) -> None:
    told = Ledger()
    told.wrote_safely([(0, 1, 1), (1, 1, 2), (2, 1, 3)], at_once=1, done=False)
    puts = [Put(0, 1, 1, Flag.FUA), Put(1, 1, 2)]
    with WriteLog(write_log(tmp_path / "log", puts)) as log:
        assert unkept(log, TAG, told.promises, told.acknowledged) == []
    with WriteLog(write_log(tmp_path / "log", [*puts, Put(2, 1, 3)])) as log:
        assert len(unkept(log, TAG, told.promises, told.acknowledged)) == 1


def shown(tmp_path: Path, puts: list[Put]) -> list[object]:
    with WriteLog(write_log(tmp_path / "log", puts)) as log:
        return [*epochs(log)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(order=st.permutations([0, 1, 2, 3]), extra=st.integers(0, 4))
def test_order_within_an_epoch_and_idle_flushes_do_not_matter(
    tmp_path: Path, order: list[int], extra: int
) -> None:
    batch = [Put(n * 8, 8, n + 1) for n in range(4)]
    plain = [*batch, FLUSH, Put(0, 8, 5)]
    other = [*[FLUSH] * extra, *[batch[n] for n in order], *[FLUSH] * (1 + extra), Put(0, 8, 5)]
    other = [replace(put, seq=put.seq + 100) for put in other]
    with WriteLog(write_log(tmp_path / "a", plain)) as a:
        ours = epochs(a)
    with WriteLog(write_log(tmp_path / "b", other)) as b:
        theirs = epochs(b)
    assert first_difference(ours, theirs) is None


def test_split_writes_are_equal_and_all_else_is_not(tmp_path: Path) -> None:
    plain = kept_log()
    right = shown(tmp_path, plain)
    split = [replace(plain[0], count=4), replace(plain[0], sector=4, count=4), *plain[1:]]
    assert shown(tmp_path, split) == right
    for broken in (
        [*plain[:2], *plain[3:]],
        [*plain[:6], replace(plain[6], flags=Flag(0)), *plain[7:]],
        [*plain[:1], *plain[2:]],
        [*plain[:4], FLUSH, *plain[4:]],
    ):
        assert shown(tmp_path, broken) != right

"""Crash states: each that is built could occur, and those at flushes are all there."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab import stamp
from lab.crash import states
from lab.crash.log import Flag, WriteLog
from lab.crash.states import Cut, Rebuilder, choose, flushes, safe_before, unsafe
from lab.units import SECTOR

from .logs import FLUSH, Put, write_log

SIZE = 64 * SECTOR


@st.composite
def numbered(draw: st.DrawFn) -> list[Put]:
    """Writes with rising numbers among flushes."""
    drawn = draw(
        st.lists(st.tuples(st.integers(0, 60), st.integers(0, 4), st.booleans()), max_size=25)
    )
    return [
        Put(sector, count, seq, Flag.FUA if fua else Flag(0)) if count else FLUSH
        for seq, (sector, count, fua) in enumerate(drawn, 1)
    ]


def allowed(puts: list[Put], end: int, sector: int) -> set[int]:
    """Numbers of the writes that a sector may hold after a cut, by the plain rule (0: zeros)."""
    found = {0}
    for place, put in enumerate(puts[:end]):
        if not put.sector <= sector < put.sector + put.count:
            continue
        safe = put.flags & Flag.FUA or any(
            later.flags & Flag.FLUSH for later in puts[place + 1 : end]
        )
        found = {put.seq} if safe else found | {put.seq}
    return found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(puts=numbered(), seed=st.integers(0, 9))
def test_a_sector_holds_what_was_safe_or_something_later(
    tmp_path: Path, puts: list[Put], seed: int
) -> None:
    with WriteLog(write_log(tmp_path / "log", puts)) as log:
        whole, subsets = choose(log.entries, subsets=3, limit=1000, seed=seed)
        with Rebuilder(log, None, SIZE, tmp_path) as states:
            for cut in sorted([*whole, *subsets]):
                for run in stamp.scan(states.state(cut).read_bytes(), 0):
                    for sector in range(run.sector, run.sector + run.count):
                        assert (run.seq or 0) in allowed(puts, cut.entries, sector)


def test_there_is_a_state_at_every_flush_and_some_between(tmp_path: Path) -> None:
    puts = [Put(0, 1, 1), Put(1, 1, 2), FLUSH, Put(2, 1, 3), Put(3, 1, 4), FLUSH, Put(4, 1, 5)]
    with WriteLog(write_log(tmp_path / "log", puts)) as log:
        assert flushes(log.entries) == [2, 5]
        whole, subsets = choose(log.entries, subsets=4, limit=1000, seed=1)
        assert whole == [Cut(3), Cut(6)]
        assert any(cut.kept and len(cut.kept) < 2 for cut in subsets)
        assert len(subsets) > 3
        whole, subsets = choose(log.entries, subsets=4, limit=3, seed=1)
        assert whole == [Cut(3), Cut(6)]
        assert len(subsets) == 3


def test_a_limit_is_one_of_subsets_however_many_flushes_there_are(tmp_path: Path) -> None:
    puts = [one for n in range(20) for one in (Put(n, 1, 2 * n + 1), Put(n + 20, 1, 2), FLUSH)]
    with WriteLog(write_log(tmp_path / "log", puts)) as log:
        at_flushes = [Cut(place + 1) for place in flushes(log.entries)]
        assert len(at_flushes) == 20
        for seed in range(5):
            whole, subsets = choose(log.entries, subsets=2, limit=30, seed=seed)
            assert whole == at_flushes
            assert len(subsets) == 30
            assert subsets == sorted(subsets)
            assert len(choose(log.entries, subsets=2, limit=5, seed=seed)[1]) == 5


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(puts=numbered(), seed=st.integers(0, 9))
def test_every_subset_loses_a_write(tmp_path: Path, puts: list[Put], seed: int) -> None:
    with WriteLog(write_log(tmp_path / "log", puts)) as log:
        for cut in choose(log.entries, subsets=3, limit=1000, seed=seed)[1]:
            assert set(cut.kept) < set(unsafe(log.entries, cut.entries))


def test_subsets_are_drawn_also_of_all_that_an_interval_has(tmp_path: Path) -> None:
    puts = [*[Put(n, 1, n + 1) for n in range(40)], FLUSH]
    with WriteLog(write_log(tmp_path / "log", puts)) as log:
        ends = [cut.entries for cut in choose(log.entries, 20, 1000, 1)[1]]
    assert ends.count(40) > 5
    assert any(end < 40 for end in ends)


def test_what_fua_wrote_and_what_was_flushed_is_never_lost(tmp_path: Path) -> None:
    puts = [Put(0, 1, 1), FLUSH, Put(1, 1, 2), Put(2, 1, 3, Flag.FUA)]
    with WriteLog(write_log(tmp_path / "log", puts)) as log:
        assert safe_before(log.entries, 4) == 1
        assert unsafe(log.entries, 4) == [2]


def test_what_a_disk_held_before_its_log_is_the_base(tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.write_bytes(bytes(stamp.build(1, 0, 64, 1)))
    with (
        WriteLog(write_log(tmp_path / "log", [Put(8, 8, 2)])) as log,
        Rebuilder(log, base, SIZE, tmp_path) as states,
    ):
        data = states.state(Cut(1)).read_bytes()
        assert [run.seq for run in stamp.scan(data, 0)] == [1]
        data = states.state(Cut(1, (0,))).read_bytes()
        assert [run.seq for run in stamp.scan(data, 0)] == [1, 2, 1]


def test_a_copy_that_does_not_fit_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(states, "copy_sparse", full)
    (tmp_path / "base").write_bytes(bytes(SIZE))
    with (
        WriteLog(write_log(tmp_path / "log", [])) as log,
        pytest.raises(OSError, match="No space"),
        Rebuilder(log, tmp_path / "base", SIZE, tmp_path),
    ):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "log"]


def test_the_same_seed_draws_the_same(tmp_path: Path) -> None:
    puts = [Put(n, 1, n + 1) for n in range(30)]
    with WriteLog(write_log(tmp_path / "log", puts)) as log:
        assert choose(log.entries, 5, 99, 3) == choose(log.entries, 5, 99, 3)
        assert choose(log.entries, 5, 99, 3) != choose(log.entries, 5, 99, 4)

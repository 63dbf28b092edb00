"""The log's format: what is written is read again; what is no log is refused."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.crash.log import MAGIC, Flag, LogError, WriteLog, count_entries
from lab.units import SECTOR

from .logs import FLUSH, Put, write_log


@st.composite
def puts(draw: st.DrawFn) -> list[Put]:
    one = st.builds(
        Put,
        sector=st.integers(0, 100).map(lambda n: n * 8),
        count=st.integers(1, 4).map(lambda n: n * 8),
        seq=st.integers(1, 1000),
        flags=st.sampled_from([Flag(0), Flag.FUA, Flag.DISCARD, Flag.FLUSH, Flag.METADATA]),
    )
    return draw(st.lists(st.one_of(one, st.just(FLUSH)), max_size=20))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=puts(), block=st.sampled_from([512, 4096]))
def test_every_entry_is_read_again(tmp_path: Path, wanted: list[Put], block: int) -> None:
    with WriteLog(write_log(tmp_path / "log", wanted, block)) as log:
        found = [(one.sector, one.count, one.flags, log.data(one)) for one in log.entries]
    assert found == [
        (
            put.sector,
            put.count,
            put.flags,
            bytes(put.count * SECTOR) if put.flags & Flag.DISCARD else put.data,
        )
        for put in wanted
    ]
    assert count_entries(tmp_path / "log") == len(wanted)


def test_words_of_the_user_are_passed_over(tmp_path: Path) -> None:
    mark = struct.pack("<QQQQ4s", 0, 0, Flag.MARK, 4, b"here").ljust(SECTOR, b"\0")
    path = write_log(tmp_path / "log", [Put(8, 1)], entries=2)
    data = path.read_bytes()
    path.write_bytes(data[:SECTOR] + mark + data[SECTOR:])
    with WriteLog(path) as log:
        assert [one.writes for one in log.entries] == [False, True]
        assert log.data(log.entries[1]) == Put(8, 1).data


def test_a_log_that_was_not_begun_has_no_entries(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"")
    with WriteLog(path) as log:
        assert log.entries == ()
    assert count_entries(path) == 0


@pytest.mark.parametrize(
    "head",
    [
        struct.pack("<QQQI", MAGIC + 1, 1, 0, 512),
        struct.pack("<QQQI", MAGIC, 2, 0, 512),
        struct.pack("<QQQI", MAGIC, 1, 0, 513),
        b"short",
    ],
)
def test_what_is_no_log_is_refused(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "log"
    path.write_bytes(head)
    with pytest.raises(LogError):
        WriteLog(path)


def test_an_entry_that_was_not_written_when_the_power_failed_is_not_there(tmp_path: Path) -> None:
    puts = [Put(8, 8, 1), Put(16, 8, 2), FLUSH]
    path = write_log(tmp_path / "log", puts)
    data = path.read_bytes()
    path.write_bytes(data[: 1 * 512] + bytes(9 * 512) + data[10 * 512 :])
    with WriteLog(path) as log:
        assert [(one.sector, one.flags) for one in log.entries] == [(16, 0), (0, Flag.FLUSH)]
    path = write_log(path, [Put(8, 8, 1), Put(16, 8, 2)])
    path.write_bytes(path.read_bytes()[:-1])
    with WriteLog(path) as log:
        assert [one.sector for one in log.entries] == [8]

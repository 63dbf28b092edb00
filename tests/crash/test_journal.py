"""Commits of a journal: each after a flush of what it commits; what is pending with files' data."""

from __future__ import annotations

import struct
from pathlib import Path

from lab.crash.journal import (
    COMMITTED,
    MAGIC,
    Journal,
    first_difference,
    together,
    unflushed_commits,
)
from lab.crash.log import Flag, WriteLog
from lab.units import SECTOR

from .logs import FLUSH, NONE, Put, write_log

BLOCK = 1024
SUPER = 10
JOURNAL = Journal(BLOCK, frozenset(range(SUPER + 1, 30)))
FILE = bytes(range(256)) * 2
NAMES = {FILE: "block 0 of f"}


def put(block: int, *blocks: bytes, flags: Flag = NONE) -> Put:
    """A write of these blocks, one after the other."""
    data = b"".join(one.ljust(BLOCK, b"\1") for one in blocks)
    return Put(block * BLOCK // SECTOR, len(data) // SECTOR, flags=flags, other=data)


def head(kind: int, number: int = 7) -> bytes:
    return struct.pack(">III", MAGIC, kind, number)


DESCRIPTOR, COMMIT = head(1), head(2)
DATA = put(2, FILE * 2)
BLOCKS = put(11, DESCRIPTOR, b"metadata", b"metadata")
RECORD = put(14, COMMIT)


def judged(tmp_path: Path, *puts: Put, start: int = 0) -> tuple[int, list[str]]:
    with WriteLog(write_log(tmp_path / "log", puts)) as log:
        return unflushed_commits(log, JOURNAL, start)


def test_commits_after_a_flush_of_their_blocks_are_counted(tmp_path: Path) -> None:
    one = [DATA, BLOCKS, FLUSH, RECORD, FLUSH]
    assert judged(tmp_path, *one, *one) == (2, [])
    assert judged(tmp_path, *one, *one, start=4) == (1, [])


def test_a_commit_whose_flush_was_swallowed(tmp_path: Path) -> None:
    commits, (wrong,) = judged(tmp_path, BLOCKS, FLUSH, RECORD, FLUSH, BLOCKS, RECORD, FLUSH)
    assert commits == 2
    assert "entry 5 commits transaction 7 of the journal, 3 of whose 3 blocks" in wrong


def test_a_flush_before_some_of_the_blocks_is_not_enough(tmp_path: Path) -> None:
    _, (wrong,) = judged(tmp_path, BLOCKS, FLUSH, put(14, b"more"), put(15, COMMIT), FLUSH)
    assert "1 of whose 4 blocks" in wrong


def test_a_commit_in_one_write_with_its_blocks(tmp_path: Path) -> None:
    assert len(judged(tmp_path, put(11, DESCRIPTOR, b"metadata", COMMIT), FLUSH)[1]) == 1


def test_a_flush_that_the_commit_record_brings_along_stands_before_it(tmp_path: Path) -> None:
    record = put(14, COMMIT, flags=Flag.FLUSH | Flag.FUA)
    assert judged(tmp_path, BLOCKS, record) == (1, [])


def test_the_super_block_and_what_lies_elsewhere_are_of_no_transaction(tmp_path: Path) -> None:
    others = [put(SUPER, head(4)), DATA, put(40, b"metadata")]
    assert judged(tmp_path, BLOCKS, FLUSH, *others, RECORD, FLUSH) == (1, [])


def test_commits_of_nothing_and_of_elsewhere_do_not_count(tmp_path: Path) -> None:
    assert judged(tmp_path, RECORD, FLUSH, BLOCKS, put(40, COMMIT), FLUSH) == (0, [])


def pending(tmp_path: Path, *puts: Put) -> list[frozenset[str]]:
    with WriteLog(write_log(tmp_path / "log", puts)) as log:
        return together(log, JOURNAL, NAMES)


def test_two_file_systems_that_differ_in_all_but_files_and_flushes_are_equal(
    tmp_path: Path,
) -> None:
    ours = pending(tmp_path, FLUSH, RECORD, FLUSH, DATA, BLOCKS, FLUSH, RECORD, FLUSH)
    more = put(20, DESCRIPTOR, b"other")
    theirs = pending(tmp_path, more, put(5, FILE * 2), FLUSH, put(40, b"table"), FLUSH, RECORD)
    assert ours == theirs == [frozenset(NAMES.values())]
    assert first_difference(ours, theirs) is None


def test_a_commit_that_is_pending_with_what_it_commits_is_a_difference(tmp_path: Path) -> None:
    theirs = pending(tmp_path, DATA, BLOCKS, FLUSH, RECORD, FLUSH)
    ours = pending(tmp_path, DATA, BLOCKS, RECORD, FLUSH)
    assert ours == [{*NAMES.values(), COMMITTED}]
    wrong = first_difference(ours, theirs)
    assert wrong is not None
    assert f"{COMMITTED} must not be among them, nothing must" in wrong


def test_files_that_may_be_lost_together_or_were_not_written_are_a_difference(
    tmp_path: Path,
) -> None:
    twice = pending(tmp_path, DATA, FLUSH, DATA, FLUSH)
    once = pending(tmp_path, DATA, DATA, FLUSH)
    assert "time 2" in (first_difference(once, twice) or "")
    assert first_difference(once, []) is not None

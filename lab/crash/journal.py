"""Whether each commit record of an ext4 journal came after a flush of what it commits.

jbd2 writes the blocks of a transaction and the data that must be there before them, waits until all
of that has ended, and only then writes the commit record, with REQ_PREFLUSH and REQ_FUA
(fs/jbd2/commit.c: journal_submit_commit_record). It does one transaction at a time. So in the log
stands a flush between the last block that was written to the journal before a commit record, and
the record. Without it a power cut may leave a commit of which parts are lost.

The journal's super block is of no transaction, and is written at any time. A checksum of a
transaction changes nothing about the order. It is another one with asynchronous commits, where the
record is written along with the rest, and with fast commits, which have records of their own: such
journals cannot be judged. Nor is a file system that was mounted with `nobarrier`: it never flushes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest

from lab.crash.log import Entry, Flag, WriteLog
from lab.units import SECTOR

MAGIC = 0xC03B3998
COMMIT = struct.pack(">II", MAGIC, 2)
"""What a commit record begins with; then comes the number of its transaction. No other block of
a journal does: jbd2 takes the magic number away from what it writes there."""
COMMITTED = "a commit record"


@dataclass(frozen=True)
class Journal:
    """Numbers of the blocks of a journal without its super block; `block`: bytes of each."""

    block: int
    blocks: frozenset[int]


def unflushed_commits(log: WriteLog, journal: Journal, start: int = 0) -> tuple[int, list[str]]:
    """How many transactions were committed from entry `start` on; what is wrong, in words."""
    commits = written = unsafe = 0
    wrong = []
    for place, entry in enumerate(log.entries[start:], start):
        if entry.flags & Flag.FLUSH:
            unsafe = 0
        for head in _heads(log, entry, journal):
            if not head.startswith(COMMIT):
                written += 1
                unsafe += not entry.flags & Flag.FUA
                continue
            if unsafe:
                (number,) = struct.unpack_from(">I", head, len(COMMIT))
                wrong.append(
                    f"entry {place} commits transaction {number} of the journal, {unsafe} of whose"
                    f" {written} blocks were not flushed before: a power cut may lose them"
                )
            # One without blocks commits nothing.
            commits += written > 0
            written = unsafe = 0
    return commits, wrong


def _heads(log: WriteLog, entry: Entry, journal: Journal) -> Iterator[bytes]:
    """What the blocks of the journal that an entry writes begin with."""
    if not entry.writes or entry.flags & Flag.DISCARD:
        return
    first = entry.sector * SECTOR // journal.block
    number = entry.count * SECTOR // journal.block
    if journal.blocks.isdisjoint(range(first, first + number)):
        return
    data = log.data(entry)
    for index in range(number):
        if first + index in journal.blocks:
            yield data[index * journal.block :][: len(COMMIT) + 4]


Together = frozenset[str]
"""Names of blocks of files that are pending between the same two flushes; COMMITTED if a commit
record is pending with them."""


def together(
    log: WriteLog, journal: Journal, names: Mapping[bytes, str], start: int = 0
) -> list[Together]:
    """What of known files is pending between each two flushes, where there is anything.

    names: of blocks of files by what a sector of them holds. All the rest of what is written
    depends on the time and on identifiers of the file system.
    """
    parts: list[set[str]] = [set()]
    for entry in log.entries[start:]:
        if entry.flags & Flag.FLUSH and parts[-1]:
            parts.append(set())
        if any(head.startswith(COMMIT) for head in _heads(log, entry, journal)):
            parts[-1].add(COMMITTED)
        if entry.writes and not entry.flags & Flag.DISCARD:
            data = log.data(entry)
            sectors = (data[at : at + SECTOR] for at in range(0, len(data), SECTOR))
            parts[-1].update(names[one] for one in sectors if one in names)
    return [frozenset(part) for part in parts if part - {COMMITTED}]


def first_difference(ours: list[Together], theirs: list[Together]) -> str | None:
    """Where two file systems first differ in what of files may be lost together; None: nowhere."""
    nothing: Together = frozenset()
    for place, (one, other) in enumerate(zip_longest(ours, theirs, fillvalue=nothing), 1):
        if one != other:
            return (
                f"time {place} that blocks of files are pending between two flushes: "
                f"{_spelt(one - other)} must not be among them, {_spelt(other - one)} must"
            )
    return None


def _spelt(names: frozenset[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"

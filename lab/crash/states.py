"""Crash states: what may be on a disk when the power fails at a point of its log.

All before the last flush is there, in its order; of the writes after it, each is there or not
(those with FUA are there). A flush that was under way counts as done for what had reached the disk
when it ended, which is more than it promises: so no state is built that could not occur, and some
that could are not built.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from lab.crash.log import Entry, Flag, WriteLog
from lab.units import SECTOR

TRIES = 4
"""Draws for each subset that is asked for; those drawn before do not count."""


@dataclass(frozen=True, order=True)
class Cut:
    """The power fails after so many `entries`; of those not safe by then these are `kept`."""

    entries: int
    kept: tuple[int, ...] = ()


def flushes(entries: Sequence[Entry]) -> list[int]:
    """Places of the entries that flush."""
    return [place for place, entry in enumerate(entries) if entry.flags & Flag.FLUSH]


def safe_before(entries: Sequence[Entry], end: int) -> int:
    """The place of the last flush before `end`: all that stands before it is safe."""
    return next((p for p in range(end - 1, -1, -1) if entries[p].flags & Flag.FLUSH), 0)


def unsafe(entries: Sequence[Entry], end: int) -> list[int]:
    """Places of the writes before `end` that may be lost."""
    return [
        place
        for place in range(safe_before(entries, end), end)
        if entries[place].writes and not entries[place].flags & Flag.FUA
    ]


def draw(entries: Sequence[Entry], end: int, dice: random.Random) -> Cut:
    """One state at a point: nothing, all, or some of what may be lost is lost."""
    pending = unsafe(entries, end)
    share = dice.choice((0.0, 0.2, 0.5, 0.8, 1.0))
    return Cut(end, tuple(place for place in pending if dice.random() < share))


def choose(
    entries: Sequence[Entry], subsets: int, limit: int, seed: int, start: int = 0
) -> tuple[list[Cut], list[Cut]]:
    """States to look at from place `start` on, each list in order: one at each flush, and up to
    `subsets` in each interval between two flushes, at most `limit` of them altogether.

    At a flush nothing is lost; each of the others loses a write.
    """
    dice = random.Random(seed)
    at_flushes: list[Cut] = []
    between: set[Cut] = set()
    begin = start
    for stop in [*(start + place for place in flushes(entries[start:])), len(entries)]:
        if stop < len(entries):
            at_flushes.append(Cut(stop + 1))
        drawn: set[Cut] = set()
        for _ in range(subsets * TRIES if stop > begin else 0):
            # At the end of an interval most may be lost.
            end = dice.choice((stop, dice.randint(begin + 1, stop)))
            cut = draw(entries, end, dice)
            if len(drawn) < subsets and len(cut.kept) < len(unsafe(entries, end)):
                drawn.add(cut)
        between |= drawn
        begin = stop + 1
    if len(between) > limit:
        between = set(dice.sample(sorted(between), limit))
    return at_flushes, sorted(between)


class Rebuilder:
    """Makes the files of crash states of one log, in ascending order; a context manager.

    base: what the disk held when the log began; none: zeros. size: bytes.
    """

    def __init__(self, log: WriteLog, base: Path | None, size: int, folder: Path) -> None:
        self._log = log
        self._safe = folder / "safe.img"
        self._state = folder / "state.img"
        self._base, self._size = base, size
        self._done = 0

    def __enter__(self) -> Self:
        try:
            _copy(self._base, self._safe, self._size)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self._safe.unlink(missing_ok=True)
        self._state.unlink(missing_ok=True)

    def state(self, cut: Cut) -> Path:
        """The file of a state; overwritten by the next one."""
        entries = self._log.entries
        safe = safe_before(entries, cut.entries)
        if safe < self._done:
            raise ValueError(f"{cut} comes before one that was made already")
        self._apply(self._safe, range(self._done, safe))
        self._done = safe
        _copy(self._safe, self._state, self._safe.stat().st_size)
        lost = set(unsafe(entries, cut.entries)) - set(cut.kept)
        self._apply(self._state, [p for p in range(safe, cut.entries) if p not in lost])
        return self._state

    def _apply(self, path: Path, places: Sequence[int]) -> None:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            for place in places:
                entry = self._log.entries[place]
                if entry.writes:
                    os.pwrite(fd, self._log.data(entry), entry.sector * SECTOR)
        finally:
            os.close(fd)


def _copy(source: Path | None, target: Path, size: int) -> None:
    """A sparse copy; of nothing: zeros."""
    target.unlink(missing_ok=True)
    with target.open("xb") as file:
        file.truncate(size)
    if source is not None:
        copy_sparse(source, target)


def copy_sparse(source: Path, target: Path) -> None:
    """Copy what is not a hole into a file of zeros of the same size."""
    with source.open("rb") as old, target.open("r+b") as new:
        size, at = source.stat().st_size, 0
        while at < size:
            try:
                at = os.lseek(old.fileno(), at, os.SEEK_DATA)
            except OSError:
                return  # only a hole is left
            end = os.lseek(old.fileno(), at, os.SEEK_HOLE)
            old.seek(at)
            new.seek(at)
            while at < end:
                piece = old.read(min(1 << 20, end - at))
                if not piece:
                    return
                new.write(piece)
                at += len(piece)

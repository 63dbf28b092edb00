"""Load "writers": stamped writes at random places, each one's times noted for the model."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from typing import Any, Optional

from lab.agent.block.device import geometry, opened
from lab.agent.block.uring import UringWay
from lab.agent.block.ways import How, Way
from lab.agent.block.writing import put, way_to
from lab.agent.loads.base import Load, load_kind
from lab.errors import UsageError
from lab.units import SECTOR

_PAGE_OF_WRITES = 2500  # of a report: below 256 KiB
_DRAWS = 64


@load_kind("writers")
class Writers(Load):
    """`workers` threads write between sizes[0] and sizes[1] bytes inside `region` (sectors).

    Numbers are given out in the order of issue, and a sector is never in two writes at a time: so
    of all finished writes to a sector the one with the largest number is what it holds.
    boundary: every other write starts just below a multiple of that many bytes. rate: at most so
    many writes per second, all workers together.
    """

    def __init__(
        self,
        path: str,
        tag: int,
        *,
        workers: int = 2,
        sizes: tuple[int, int] = (512, 65536),
        region: Optional[tuple[int, int]] = None,
        how: How = How.DIRECT,
        seed: int = 1,
        rate: Optional[float] = None,
        boundary: Optional[int] = None,
    ) -> None:
        super().__init__()
        with opened(path, 0) as fd:
            facts = geometry(fd)
        self._grain = facts.logical_block_size // SECTOR
        self._region = region or (0, facts.size // SECTOR)
        low, high = (max(1, size // facts.logical_block_size) for size in sizes)
        if sizes[0] < SECTOR or low > high or high * self._grain > self._region[1]:
            raise UsageError(f"writers: sizes {sizes} do not fit the region {self._region}")
        self._blocks = (low, high)
        self._path, self._tag, self._how = path, tag, how
        self._seed, self._workers = seed, workers
        self._next_seq = 1
        self._interval, self._due = (1 / rate if rate else 0.0), 0.0
        self._boundary = boundary
        self._flying: dict[int, tuple[int, int, int]] = {}  # seq: (sector, count, issued)
        self._done: list[list[int]] = []
        self._dropped = 0
        self._max_latency = 0

    def begin(self) -> None:
        with way_to(self._path, self._how, SECTOR):
            pass  # So that a wrong path or an impossible way is the request's error.
        for worker in range(self._workers):
            self.spawn(self._work, random.Random(self._seed * 1_000_003 + worker))

    def _work(self, dice: random.Random) -> None:
        size = self._blocks[1] * self._grain * SECTOR
        with way_to(self._path, self._how, size) as way:
            while not self._wait_turn():
                drawn = self._draw(dice)
                if drawn is not None:
                    self._write(way, *drawn)
            way.finish()

    def _wait_turn(self) -> bool:
        if not self._interval:
            return self.ending
        with self.lock:
            now = time.monotonic()
            self._due = max(now, self._due) + self._interval
            wait = self._due - self._interval - now
        return self.pause(wait)

    def _draw(self, dice: random.Random) -> Optional[tuple[int, int, int]]:
        """A free place and its number, noted as in flight; None if all draws were taken."""
        for _ in range(_DRAWS):
            sector, count = self._place(dice)
            with self.lock:
                if any(
                    sector < start + length and start < sector + count
                    for start, length, _ in self._flying.values()
                ):
                    continue
                seq = self._next_seq
                self._next_seq += 1
                self._flying[seq] = (sector, count, time.monotonic_ns())
                return sector, count, seq
        return None

    def _place(self, dice: random.Random) -> tuple[int, int]:
        first, length = self._region
        count = dice.randint(*self._blocks) * self._grain
        last = (length - count) // self._grain
        sector = dice.randint(0, last) * self._grain
        if self._boundary and dice.random() < 0.5:
            step = self._boundary // SECTOR
            sector = (first + sector) // step * step + step - first - self._grain
            sector = max(0, min(sector, last * self._grain))
        return first + sector, count

    def _write(self, way: Way, sector: int, count: int, seq: int) -> None:
        number: Optional[int] = None
        try:
            put(way, self._tag, 0, (sector, count, seq))
            if isinstance(way, UringWay):
                way.finish(sync=False)  # put() has only submitted it
            number = way.failures.pop().errno if way.failures else 0
        finally:
            done = time.monotonic_ns()
            with self.lock:
                sector, count, issued = self._flying.pop(seq)
                self._max_latency = max(self._max_latency, done - issued)
                # Without a number this thread is failing: the write may have happened or not.
                self._done.append(
                    [seq, sector, count, issued, done, 5 if number is None else number]
                )

    def report(self, start: int) -> Mapping[str, Any]:
        """writes: finished ones from entry `start` on; next, more: to page; in_flight: the rest;
        max_latency_ns: of the slowest finished one.

        Who asks for an entry has those before it: they are dropped, as there may be millions. A
        `start` beyond the last one asks for none.
        """
        with self.lock:
            total = self._dropped + len(self._done)
            if start < self._dropped:
                raise UsageError(f"writers: entry {start} is no longer there; {self._dropped} is")
            if start <= total:
                del self._done[: start - self._dropped]
                self._dropped = start
            page = self._done[:_PAGE_OF_WRITES] if start <= total else []
            flying = [
                [seq, sector, count, issued, None, None]
                for seq, (sector, count, issued) in self._flying.items()
            ]
        after = start + len(page)
        return {
            "writes": page,
            "next": after,
            "more": after < total,
            "in_flight": flying,
            "finished": total,
            "max_latency_ns": self._max_latency,
        }

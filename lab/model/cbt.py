"""The CBT map of a device as it must be (K9, K10, K11 of guest_module/CONTRACT.md).

Each byte is known as an interval: writes that were synchronous give one value, a write that was
in flight at the instant of a take may have been counted before it or after it. Takes are numbered
by `Era`s: the generation and the active number between two takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lab.model.disagreement import Disagreement, general
from lab.model.runmap import RunMap
from lab.model.seen import LoadWrite, MapRun, TrackerSeen
from lab.model.sizes import tracking_grain

LAST_NUMBER = 254
"""The highest number a take reports; the next one starts a new generation (K10)."""


class Byte(NamedTuple):
    """Lowest and highest value that a byte of the map may have."""

    low: int
    high: int


CLEAN = Byte(0, 0)


@dataclass(frozen=True, slots=True)
class Era:
    """The time between two takes."""

    generation: int
    """Ordinal of the generation: 0 for the tracker's first."""
    active: int
    """Number that writes are marked with."""
    began: tuple[int, int]
    """When the take that began it was called and had returned (guest nanoseconds)."""


class CbtModel:
    """Both copies of one tracker's map, its numbers and its generation."""

    def __init__(
        self, name: str, sectors: int, parameters: Mapping[str, int], used_ids: set[str]
    ) -> None:
        """`parameters` and `used_ids` (generation ids ever seen) are shared and looked at live."""
        self.name = name
        self.eras = [Era(0, 1, (0, 0))]
        self.previous = 0
        self.wild = False
        """Somebody writes whom the model does not see (a mounted file system)."""
        self.map_lost = False
        """An update failed: the map cannot be read, the next take begins a new generation (K12)."""
        self.update_fails = False
        """The next update is made to fail."""
        self.generation_id: str | None = None
        self._parameters = parameters
        self._used_ids = used_ids
        self._begin(sectors)

    def _begin(self, sectors: int) -> None:
        self.sectors = sectors
        self.grain = tracking_grain(sectors, self._parameters)
        self._next_sectors = sectors
        self._resized = False
        self._write: RunMap[Byte] = RunMap(self.grain.count, CLEAN)
        self._read: RunMap[Byte] = RunMap(self.grain.count, CLEAN)

    def began(self, called: int, returned: int) -> None:
        """When the create that began the tracking was called and had returned."""
        self.eras[0] = Era(0, 1, (called, returned))

    @property
    def active(self) -> int:
        """The number that writes are marked with now."""
        return self.eras[-1].active

    def mark(self, sector: int, count: int) -> None:
        """A write that was surely counted by now."""
        active = self.active
        self._write.update(*self._blocks(sector, count), lambda _: Byte(active, active))
        self.map_lost |= self.update_fails
        self.update_fails = False

    def mark_maybe(self, sector: int = 0, count: int | None = None) -> None:
        """Something that may have been counted, or may yet be."""
        active = self.active
        count = self.sectors - sector if count is None else count
        self._write.update(*self._blocks(sector, count), lambda byte: Byte(byte.low, active))

    def mark_both(self, sector: int, count: int) -> None:
        """A write to the image, or MARK_DIRTY: both copies at once."""
        self.mark(sector, count)
        previous = self.previous
        self._read.update(*self._blocks(sector, count), lambda byte: _raised(byte, previous))

    def mark_both_maybe(self, sector: int = 0, count: int | None = None) -> None:
        """Writes to the image that may have been made."""
        self.mark_maybe(sector, count)
        count = self.sectors - sector if count is None else count
        high = self.previous
        self._read.update(
            *self._blocks(sector, count), lambda byte: Byte(byte.low, max(byte.high, high))
        )

    def mark_load(self, write: LoadWrite) -> None:
        """A write with its times: which takes it may have met decides what is known."""
        tracked_from, tracked_surely = self.eras[0].began
        if write.done is not None and write.done <= tracked_from:
            return
        done = write.done if write.errno == 0 else None
        sure = self._era_at(write.issued, surely=True)
        latest = len(self.eras) - 1 if done is None else self._era_at(done, surely=False)
        low, high = self.eras[sure], self.eras[latest]
        if high.generation != self.eras[-1].generation:
            return
        low_number = low.active if low.generation == high.generation else 0
        blocks = self._blocks(write.sector, write.count)
        if done is None or write.issued < tracked_surely:
            low_number = 0
        self._write.update(
            *blocks,
            lambda byte: Byte(max(byte.low, low_number), max(byte.high, high.active)),
        )
        if low.generation == high.generation and low.active > self.previous:
            return
        if self.eras[-2].generation != high.generation:
            return  # the take that began this generation left the read copy all zero
        read_high = min(high.active, self.previous)
        read_low = low_number if high.active <= self.previous and done is not None else 0
        self._read.update(
            *blocks, lambda byte: Byte(max(byte.low, read_low), max(byte.high, read_high))
        )

    def resized(self, sectors: int) -> None:
        """The device got a size; the next take begins anew, also if it is the old one (K11)."""
        self._resized |= sectors != self._next_sectors
        self._next_sectors = sectors

    def lost_content(self) -> None:
        """Sectors have lost what they held, without a write: the next take begins anew (K11)."""
        self._resized = True

    def taken(self, began: int, ended: int) -> None:
        """A take: the write copy becomes the read copy, the number goes up."""
        if self.wild:
            self.mark_maybe()
        era = self.eras[-1]
        if self._resized or self.map_lost or era.active > LAST_NUMBER:
            self._begin(self._next_sectors)
            self.generation_id = None
            self.map_lost = False
            self.previous = 1
            self.eras.append(Era(era.generation + 1, 2, (began, ended)))
        else:
            self._read = self._write.copy()
            self.previous = era.active
            self.eras.append(Era(era.generation, era.active + 1, (began, ended)))
        if self.wild:
            self.mark_maybe()

    def compare(
        self, runs: Sequence[MapRun], first: int = 0, count: int | None = None
    ) -> tuple[Disagreement, ...]:
        """Disagreements of a map read from the module with the read copy.

        `first`, `count`: the blocks that were asked for; those beyond the end are not there.
        """
        where = f"CBT map of {self.name}"
        found: list[Disagreement] = []
        position = first
        end = self.grain.count if count is None else first + count
        end = max(first, min(end, self.grain.count))
        for run in sorted(runs, key=lambda one: one.block):
            if run.block != position:
                found.append(general(where, f"a gap before block {run.block}", "every block"))
            position = run.block + run.count
            found += self._judge(where, run)
        if position != end:
            found.append(general(where, f"blocks up to {position}", f"up to {end}"))
        return tuple(found)

    def _judge(self, where: str, run: MapRun) -> list[Disagreement]:
        return [
            Disagreement(
                where, part.start, part.count, "block", str(run.value), _byte_text(part.value)
            )
            for part in self._read.runs(run.block, run.count)
            if not part.value.low <= run.value <= part.value.high
        ]

    def observe(self, seen: TrackerSeen) -> tuple[Disagreement, ...]:
        """Disagreements of a tracker's record; its generation id is remembered."""
        where = f"tracker of {self.name}"
        pairs = (
            ("block size", seen.block_size, self.grain.sectors * 512),
            ("block count", seen.block_count, self.grain.count),
            ("capacity", seen.capacity, self.sectors * 512),
            ("number", seen.number, self.previous),
        )
        found = [
            general(where, f"{what} {got}", f"{what} {right}")
            for what, got, right in pairs
            if got != right
        ]
        if self.generation_id is None:
            if seen.generation in self._used_ids:
                found.append(general(where, f"generation {seen.generation} again", "a new one"))
            self.generation_id = seen.generation
            self._used_ids.add(seen.generation)
        elif self.generation_id != seen.generation:
            found.append(
                general(where, f"generation {seen.generation}", f"{self.generation_id} as before")
            )
        return tuple(found)

    def _blocks(self, sector: int, count: int) -> tuple[int, int]:
        """Blocks that a range touches; what lies beyond the map does not count (K11)."""
        count = min(sector + count, self.sectors) - sector
        return self.grain.touched(sector, count)

    def _era_at(self, time: int, *, surely: bool) -> int:
        """Index of the era at a time; of two that a take makes possible, the earlier one if
        `surely` (only takes that had returned count), else the later one."""
        for index in range(len(self.eras) - 1, 0, -1):
            called, returned = self.eras[index].began
            if (returned <= time) if surely else (called < time):
                return index
        return 0


def _raised(byte: Byte, number: int) -> Byte:
    return Byte(max(byte.low, number), max(byte.high, number))


def _byte_text(byte: Byte) -> str:
    return str(byte.low) if byte.low == byte.high else f"{byte.low}..{byte.high}"


def blocks_to_ranges(
    runs: Iterable[MapRun], since: int, block_sectors: int, sectors: int
) -> tuple[tuple[int, int], ...]:
    """Ranges of sectors (start, count) whose byte is above `since`, neighbours joined; what a
    backup has to copy."""
    ranges: list[tuple[int, int]] = []
    for run in sorted(runs, key=lambda one: one.block):
        if run.value <= since:
            continue
        start = run.block * block_sectors
        count = min((run.block + run.count) * block_sectors, sectors) - start
        if ranges and sum(ranges[-1]) == start:
            start, count = ranges[-1][0], ranges[-1][1] + count
            ranges.pop()
        if count > 0:
            ranges.append((start, count))
    return tuple(ranges)

"""Difference storage: what was given, what copies need, which events that must give (K18, K19)."""

from __future__ import annotations

from dataclasses import dataclass, field

from lab.model.runmap import RunMap
from lab.model.sizes import Grain
from lab.units import STORAGE_UNIT

NEVER = 2**63
"""Later than any time of a guest."""


@dataclass
class Touched:
    """Chunks of one device that were written since the take: each is copied once."""

    grain: Grain
    sectors: int
    surely: RunMap[bool] = field(init=False)
    maybe: RunMap[int] = field(init=False)
    """When the first write that may have touched a chunk was issued (guest nanoseconds)."""
    now: int = 0
    """No write that is told from now on without its time was issued before this."""

    def __post_init__(self) -> None:
        self.surely = RunMap(self.grain.count, False)
        self.maybe = RunMap(self.grain.count, NEVER)

    def touch(
        self, sector: int, count: int, *, sure: bool = True, issued: int | None = None
    ) -> None:
        """A write to a range; `issued`: when, if that is known."""
        blocks = self.grain.touched(sector, min(count, self.sectors - sector))
        at = self.now if issued is None else issued
        self.maybe.update(*blocks, lambda first: min(first, at))
        if sure:
            self.surely.set(*blocks, True)

    def need(self, *, most: bool, by: int = NEVER - 1) -> int:
        """Sectors of storage that its copies take: at least; or at most, of writes issued `by` a
        time."""
        chunks = self.maybe.mapped(lambda at: at <= by) if most else self.surely
        taken = 0
        for run in chunks.runs():
            if run.value:
                end = min(run.end * self.grain.sectors, self.sectors)
                # A device's last chunk may be shorter, and takes whole units too.
                taken += -(-(end - run.start * self.grain.sectors) // STORAGE_UNIT) * STORAGE_UNIT
        return taken


@dataclass
class StorageModel:
    """The storage of one snapshot."""

    portion: int
    """Sectors that a low-space event asks for (diff_storage_minimum at create)."""
    appended: list[tuple[int | None, int]] = field(default_factory=list)
    """When (guest nanoseconds, None: not known, long ago) and how many sectors."""
    ranges: list[tuple[str, int, int]] = field(default_factory=list)
    """(root device, sector, count) of everything given."""
    overflow_at: int | None = None
    """When the first corrupted event with ENOSPC was made."""

    def capacity_at(self, time: int) -> int:
        """Sectors that surely had been given at a time."""
        return sum(count for at, count in self.appended if at is None or at < time)

    def low_space_events(self, filled: int) -> int:
        """Low-space events when every one was answered in full: one at create, then one whenever
        what is left of the portions asked for falls to half a portion."""
        return 1 + (filled + self.portion // 2) // self.portion

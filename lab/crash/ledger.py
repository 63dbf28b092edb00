"""Which stamped writes a disk has acknowledged as safe; one ledger for each log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lab.crash.promises import Promise

Write = tuple[int, int, int]
"""Sector, count, number."""


@dataclass
class Ledger:
    """Promises of one disk since its log began; writes are told in the order of their numbers.

    acknowledged: number of the last write that the guest's programs were told the end of.
    """

    promises: list[Promise] = field(default_factory=list)
    acknowledged: int = 0
    _waiting: list[Write] = field(default_factory=list)

    def wrote(self, writes: Sequence[Write], *, done: bool = True) -> None:
        """Writes that may still be lost; not `done`: the power failed during them."""
        self._waiting += writes
        self._ends(writes, done)

    def wrote_safely(self, writes: Sequence[Write], *, at_once: int, done: bool = True) -> None:
        """Writes with FUA, so many at once; of several at once any may end first."""
        last = max((seq for _, _, seq in writes), default=0)
        for sector, count, seq in writes:
            self.promises.append(Promise(seq, sector, count, seq if at_once == 1 else last))
        self._ends(writes, done)

    def synced(self) -> None:
        """All that was written is safe before anything else is written."""
        last = max((seq for _, _, seq in self._waiting), default=0)
        after = max(last, self.acknowledged)
        self.promises += [Promise(seq, sector, n, after) for sector, n, seq in self._waiting]
        self._waiting.clear()

    def _ends(self, writes: Sequence[Write], done: bool) -> None:
        if done:
            self.acknowledged = max(self.acknowledged, *(seq for _, _, seq in writes), 0)

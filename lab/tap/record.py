"""The I/Os of a guest to its disks in order, and the one of them that is to fail."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum


class Op(StrEnum):
    """What a guest asks of a disk."""

    READ = "read"
    WRITE = "write"
    FLUSH = "flush"
    DISCARD = "discard"
    ZEROES = "write zeroes"


@dataclass(frozen=True, order=True)
class Io:
    """One I/O. `nth`: of those of its kind that reach its first sector, from 1 on.

    An I/O is known again in another clone by that sector: not by its time, as those that are under
    way at once come in any order, nor by its length, as neighbours may be joined or not.
    """

    disk: str
    op: Op
    sector: int
    count: int
    nth: int

    def __str__(self) -> str:
        place = f" sectors {self.sector}+{self.count}" if self.count else ""
        return f"{self.op} of {self.disk}{place}, {self.nth}."


class Tap:
    """All I/Os to some disks while it is open, and the fault if there is one.

    Used by the threads that serve the disks, and by the one that runs the scenario.
    """

    def __init__(self, fault: Io | None = None) -> None:
        self.fault = fault
        self._lock = threading.Lock()
        self._open = False
        self._ios: list[Io] = []
        self._struck: Io | None = None
        self.host_fault = ""
        """What of a disk the host could not do; the guest has met an error that nobody chose."""

    def open(self, *, now: bool = True) -> None:
        """I/Os count from now on; or not any more, and none fails."""
        with self._lock:
            self._open = now

    @property
    def ios(self) -> tuple[Io, ...]:
        """What has come so far."""
        with self._lock:
            return tuple(self._ios)

    @property
    def hit(self) -> bool:
        """Whether the fault has happened."""
        return self.struck is not None

    @property
    def struck(self) -> Io | None:
        """The I/O that has failed, as it was in this run: neighbours may be joined to it."""
        with self._lock:
            return self._struck

    def fails(self, disk: str, op: Op, sector: int, count: int) -> bool:
        """Note an I/O; whether it has to fail."""
        with self._lock:
            if not self._open:
                return False
            io = Io(disk, op, sector, count, self._reaching(disk, op, sector) + 1)
            hit = self.fault is not None and self._is(io, self.fault)
            self._ios.append(io)
            if hit:
                self._struck = io
            return hit

    def _is(self, io: Io, fault: Io) -> bool:
        """Whether an I/O that has just come is the one that has to fail."""
        if (io.disk, io.op) != (fault.disk, fault.op) or not _reaches(io, fault.sector):
            return False
        return self._reaching(io.disk, io.op, fault.sector) + 1 == fault.nth

    def _reaching(self, disk: str, op: Op, sector: int) -> int:
        """How many I/Os of a kind have reached a sector."""
        same = (io for io in self._ios if (io.disk, io.op) == (disk, op))
        return sum(_reaches(io, sector) for io in same)


def _reaches(io: Io, sector: int) -> bool:
    return io.sector <= sector < io.sector + max(io.count, 1)


@contextmanager
def watching(tap: Tap | None) -> Iterator[None]:
    """While this lasts, I/Os count."""
    if tap is not None:
        tap.open()
    yield
    if tap is not None:
        tap.open(now=False)

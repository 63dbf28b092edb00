"""Loads that do one thing over and over: "take_cycle" and "freeze"."""

from __future__ import annotations

import fcntl
import os
import time
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping
from typing import Any, Optional

from lab import blksnap
from lab.agent.block.device import FIFREEZE, FITHAW, opened
from lab.agent.loads.base import Load, load_kind

_MAX_FAILURES = 20
"""Failures of each errno that are told in full."""


class _Cycle(Load):
    """Does once(), pauses, and so on; failures with an errno are counted, not fatal."""

    def __init__(self, pause_ms: int) -> None:
        super().__init__()
        self._pause = pause_ms / 1000
        self._cycles = 0
        self._failures: list[dict[str, Any]] = []
        self._failure_counts: Counter[Optional[int]] = Counter()

    @abstractmethod
    def once(self) -> None:
        """One cycle. OSError: it failed, go on with the next."""

    def begin(self) -> None:
        self.spawn(self._run)

    def _run(self) -> None:
        while True:
            try:
                self.once()
            except OSError as error:
                self._note(error)
            with self.lock:
                self._cycles += 1
            if self.pause(self._pause):
                return

    def _note(self, error: OSError) -> None:
        with self.lock:
            self._failure_counts[error.errno] += 1
            if self._failure_counts[error.errno] <= _MAX_FAILURES:
                self._failures.append(
                    {"cycle": self._cycles, "errno": error.errno, "message": str(error)}
                )

    def report(self, start: int) -> Mapping[str, Any]:
        """cycles, failures [{cycle, errno, message}...], the first of each errno; failure_count, of
        all."""
        with self.lock:
            return {
                "cycles": self._cycles,
                "failures": list(self._failures),
                "failure_count": sum(self._failure_counts.values()),
                **self.more(),
            }

    def more(self) -> Mapping[str, Any]:
        """What a kind reports besides; called with the lock held."""
        return {}


@load_kind("take_cycle")
class TakeCycle(_Cycle):
    """Create a snapshot of `devices`, append `ranges` of `storage`, take, hold, destroy."""

    def __init__(
        self,
        devices: list[str],
        storage: str,
        ranges: list[tuple[int, int]],
        hold_ms: int = 0,
    ) -> None:
        super().__init__(pause_ms=0)
        self._devices = devices
        self._storage = storage
        self._ranges = [blksnap.SectorRange(sector, count) for sector, count in ranges]
        self._hold = hold_ms / 1000
        self._takes: list[tuple[int, int]] = []

    def once(self) -> None:
        with blksnap.Control() as control, control.create_snapshot(self._devices) as snapshot:
            snapshot.append_storage(self._storage, self._ranges)
            begun = time.monotonic_ns()
            snapshot.take()
            ended = time.monotonic_ns()
            with self.lock:
                self._takes.append((begun, ended))
            self.pause(self._hold)

    def more(self) -> Mapping[str, Any]:
        """takes [[begin_ns, end_ns]...], those that succeeded."""
        return {"takes": list(self._takes)}


@load_kind("freeze")
class Freeze(_Cycle):
    """Freeze the file system mounted at `path`, hold, thaw."""

    def __init__(self, path: str, hold_ms: int = 10, pause_ms: int = 10) -> None:
        super().__init__(pause_ms)
        self._path = path
        self._hold = hold_ms / 1000

    def once(self) -> None:
        with opened(self._path, os.O_RDONLY) as fd:
            fcntl.ioctl(fd, FIFREEZE, 0)
            try:
                self.pause(self._hold)
            finally:
                fcntl.ioctl(fd, FITHAW, 0)

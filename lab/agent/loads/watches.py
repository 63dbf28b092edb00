"""Loads that look at the module again and again: "memory" and "collect"."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Mapping
from typing import Any

from lab import blksnap
from lab.agent.accounting import counted_memory
from lab.agent.loads.base import Load, load_kind

_PAUSE_S = 0.005
# What a command says of something that came or went in the meantime.
_PASSING = frozenset({errno.EPERM, errno.ESRCH, errno.ENODEV, errno.ENODATA})


@load_kind("memory")
class Memory(Load):
    """Reads the module's memory counters all the time; notes where they were highest."""

    def __init__(self) -> None:
        super().__init__()
        self._samples = 0
        self._first = self._most = 0
        self._kinds: dict[str, tuple[int, int]] = {}

    def begin(self) -> None:
        self._first = self._most = sum(size for _, size in counted_memory().values())
        self.spawn(self._watch)

    def _watch(self) -> None:
        while not self.pause(_PAUSE_S):
            kinds = counted_memory()
            size = sum(bytes_ for _, bytes_ in kinds.values())
            with self.lock:
                self._samples += 1
                if size > self._most:
                    self._most, self._kinds = size, kinds

    def report(self, start: int) -> Mapping[str, Any]:
        """samples; first, most: bytes at the start and at most; kinds {kind: [objects, bytes]}."""
        with self.lock:
            kinds = {kind: list(pair) for kind, pair in self._kinds.items() if any(pair)}
            return {
                "samples": self._samples,
                "first": self._first,
                "most": self._most,
                "kinds": kinds,
            }


@load_kind("collect")
class Collect(Load):
    """`workers` threads ask for all trackers, maps, snapshots and images, without end."""

    def __init__(self, workers: int = 2) -> None:
        super().__init__()
        self._workers = workers
        self._rounds = 0
        self._passing: Counter[int] = Counter()

    def begin(self) -> None:
        for _ in range(self._workers):
            self.spawn(self._work)

    def _work(self) -> None:
        with blksnap.Control() as control:
            while not self.ending:
                self._round(control)
                with self.lock:
                    self._rounds += 1

    def _round(self, control: blksnap.Control) -> None:
        for info in control.trackers():
            if not info.is_gone:
                self._tolerant(control.tracker(info.device).cbt_map().read)
        for snapshot in control.snapshots():
            self._tolerant(control.snapshot(snapshot).images)

    def _tolerant(self, ask: Any) -> None:
        try:
            ask()
        except OSError as error:
            if error.errno not in _PASSING:
                raise
            with self.lock:
                self._passing[error.errno] += 1

    def report(self, start: int) -> Mapping[str, Any]:
        """rounds; passing {errno: count}: answers about what was gone, or not taken, just then."""
        with self.lock:
            passing = {str(number): count for number, count in self._passing.items()}
            return {"rounds": self._rounds, "passing": passing}

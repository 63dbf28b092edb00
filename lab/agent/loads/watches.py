"""Loads that look at the module again and again: "memory" and "collect"."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Mapping
from typing import Any, Callable

from lab import blksnap
from lab.agent.accounting import counted_memory
from lab.agent.loads.base import Load, load_kind
from lab.errors import LabError

_PAUSE_S = 0.005
# What a command says of something that came or went in the meantime.
_PASSING = frozenset({errno.EPERM, errno.ESRCH, errno.ENODEV, errno.ENODATA, errno.ESTALE})


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
    """`workers` ask for all trackers and maps, as many for all snapshots and images, without end.

    Who asks for a snapshot that is being taken waits; who reads maps does not. A map must fit the
    tracker's record, if that was the same before and after (K7).
    """

    def __init__(self, workers: int = 2) -> None:
        super().__init__()
        self._workers = workers
        self._rounds: Counter[str] = Counter()
        self._passing: Counter[int] = Counter()

    def begin(self) -> None:
        for _ in range(self._workers):
            self.spawn(self._work, "maps", self._maps)
            self.spawn(self._work, "images", self._images)

    def _work(self, what: str, ask: Callable[[blksnap.Control], None]) -> None:
        try:
            with blksnap.Control() as control:
                while not self.ending:
                    ask(control)
                    with self.lock:
                        self._rounds[what] += 1
        finally:
            self._end.set()  # What one has found ends the others.

    def _maps(self, control: blksnap.Control) -> None:
        for info in control.trackers():
            if not info.is_gone:
                self._tolerant(_read_map, control.tracker(info.device))

    def _images(self, control: blksnap.Control) -> None:
        for snapshot in control.snapshots():
            self._tolerant(control.snapshot(snapshot).images)

    def _tolerant(self, ask: Callable[..., object], *arguments: object) -> None:
        try:
            ask(*arguments)
        except OSError as error:
            if error.errno not in _PASSING:
                raise
            with self.lock:
                self._passing[error.errno] += 1

    def report(self, start: int) -> Mapping[str, Any]:
        """rounds, of both; passing {errno: count}: answers about what was gone, or not taken, just
        then."""
        with self.lock:
            passing = {str(number): count for number, count in self._passing.items()}
            rounds = min(self._rounds["maps"], self._rounds["images"])
            return {"rounds": rounds, "passing": passing}


def _read_map(tracker: blksnap.Tracker) -> None:
    with tracker.cbt_map() as cbt:
        found = cbt.read()
    info, highest = cbt.info, max(found, default=0)
    if info.is_gone:
        return  # Its map can be read while it is held, its record is all zeros.
    if len(found) > info.block_count or highest > info.number:
        raise LabError(
            f"map of {info.device}: {len(found)} blocks, highest number {highest}; its tracker has "
            f"{info.block_count} blocks and number {info.number}"
        )

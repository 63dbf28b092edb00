"""How long things took on this machine before, so that progress can tell how long they will take.

    <cache>/times.json   the seconds of the last few times, by name: "image 6.1",
                         "cbt/exact-map on 6.1"

An estimate is worth no error: a file that cannot be read or written is as good as none.
"""

import contextlib
import json
import os
import statistics
import time
from pathlib import Path

from lab.cache import cache_root
from lab.progress import Progress

FILE = "times.json"
KEPT = 5
# Waiting for another process takes as long as it takes.
_NOT_OURS = ("cache",)
# Where nothing is known from before, what the work itself says counts, from here on.
_TELLING = 0.05


class Estimates:
    """Times by name; kept in a file, if there is one."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._times = self._load()

    @classmethod
    def of_this_machine(cls) -> "Estimates":
        """Those in the user's cache."""
        return cls(cache_root() / FILE)

    def usual(self, name: str) -> float | None:
        """How long it took of late, seconds; None if it was never seen."""
        times = self._times.get(name)
        return statistics.median(times) if times else None

    def took(self, name: str, seconds: float) -> None:
        """Learn how long it took just now."""
        # Another process may have learnt something meanwhile.
        self._times |= self._load()
        self._times[name] = [*self._times.get(name, []), round(seconds, 1)][-KEPT:]
        if self._path is None:
            return
        aside = self._path.with_name(f".{FILE}.{os.getpid()}")
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            aside.write_text(json.dumps(self._times, indent=0, sort_keys=True), encoding="utf-8")
            aside.replace(self._path)

    def _load(self) -> dict[str, list[float]]:
        if self._path is None:
            return {}
        try:
            loaded = json.loads(self._path.read_text(encoding="utf-8"))
            return {str(name): [float(one) for one in times] for name, times in loaded.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}


class StageClock:
    """Follows the stages of long work: how long the one under way still takes; learns from each.

    `context` tells the same stage of different work apart, such as images of several kernels.
    """

    def __init__(self, estimates: Estimates, context: str = "") -> None:
        self._estimates = estimates
        self._context = context
        self._stage = ""
        self._began = 0.0

    def see(self, progress: Progress, context: str | None = None) -> bool:
        """Take note; True if a stage begins, which ends the one before."""
        if context is not None and context != self._context:
            self.end()
            self._context = context
        if progress.stage == self._stage:
            return False
        self.end()
        self._stage, self._began = progress.stage, time.monotonic()
        return True

    def end(self) -> None:
        """The stage has come to its end; not to be called if it failed."""
        if self._stage and self._stage not in _NOT_OURS:
            self._estimates.took(self._name, time.monotonic() - self._began)
        self._stage = ""

    def left(self, fraction: float | None = None) -> float | None:
        """Seconds that the stage under way still takes, by earlier ones, else by how far it is."""
        elapsed = time.monotonic() - self._began
        usual = self._estimates.usual(self._name)
        if usual is not None:
            return max(0.0, usual - elapsed)
        if fraction is None or fraction < _TELLING:
            return None
        return elapsed * (1 - fraction) / fraction

    @property
    def _name(self) -> str:
        return f"{self._stage} {self._context}".strip()


def left_text(seconds: float | None) -> str:
    """Such as ", about 40 s left"; nothing if it is not known, or overdue."""
    if not seconds or seconds < 1:
        return ""
    return f", about {rough(seconds)} left"


def rough(seconds: float) -> str:
    """A time as precise as an estimate is: 7 s, 40 s, 12 min, 2 h."""
    if seconds < 10:
        return f"{round(seconds) or 1} s"
    if seconds < 95:
        return f"{round(seconds, -1):.0f} s"
    return f"{round(seconds / 60)} min" if seconds < 5700 else f"{round(seconds / 3600)} h"

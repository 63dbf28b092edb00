"""What all background activities have in common: threads, an end, a report."""

from __future__ import annotations

import errno
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Callable

from lab.errors import UsageError


class Load(ABC):
    """A background activity. Made, begun, asked for reports any number of times, ended.

    A thread that fails ends its part only; what failed is in every report from then on.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._end = threading.Event()
        self._threads: list[threading.Thread] = []
        self._failed: list[dict[str, Any]] = []

    @abstractmethod
    def begin(self) -> None:
        """Start its threads, by spawn(). Raises what makes it impossible, e.g. no such device."""

    @abstractmethod
    def report(self, start: int) -> Mapping[str, Any]:
        """What it has done so far. start: for paged reports, the first entry wanted."""

    def spawn(self, body: Callable[..., None], *arguments: object) -> None:
        """Run body(*arguments) in a thread of this load."""
        thread = threading.Thread(target=self._guarded, args=(body, *arguments), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _guarded(self, body: Callable[..., None], *arguments: object) -> None:
        try:
            body(*arguments)
        except Exception as error:
            number = error.errno if isinstance(error, OSError) else None
            with self.lock:
                self._failed.append({"errno": number, "message": str(error) or repr(error)})

    @property
    def ending(self) -> bool:
        """Whether it was told to end; threads look at it between two actions."""
        return self._end.is_set()

    def pause(self, seconds: float) -> bool:
        """Sleep, but not beyond the end; True if the end has come."""
        return self._end.wait(seconds) if seconds > 0 else self.ending

    def end(self, timeout: float) -> None:
        """Have all threads end. OSError ETIMEDOUT if one has not after `timeout` seconds."""
        self._end.set()
        last = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, last - time.monotonic()))
        alive = sum(thread.is_alive() for thread in self._threads)
        if alive:
            raise TimeoutError(
                errno.ETIMEDOUT, f"{alive} of {len(self._threads)} threads still run"
            )

    def full_report(self, start: int = 0) -> dict[str, Any]:
        """The report with what is common: running (threads), failed."""
        report = dict(self.report(start))
        with self.lock:
            report["failed"] = list(self._failed)
        report["running"] = sum(thread.is_alive() for thread in self._threads)
        return report


KINDS: dict[str, type[Load]] = {}


def load_kind(name: str) -> Callable[[type[Load]], type[Load]]:
    """Class decorator: make a Load known by a name. Its __init__ parameters are its arguments."""

    def register(kind: type[Load]) -> type[Load]:
        KINDS[name] = kind
        return kind

    return register


def kind_of(name: str) -> type[Load]:
    """The class of that name. UsageError if there is none."""
    try:
        return KINDS[name]
    except KeyError:
        raise UsageError(f"no kind of load is {name!r}", "one of " + ", ".join(KINDS)) from None

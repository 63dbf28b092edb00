"""Brings events to listeners, one at a time, whichever thread they come from."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from lab.errors import LabError
from lab.runner.events import Event, Listener


class Bus:
    """Hands every event to every listener; a listener that fails is reported at the end."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = tuple(listeners)
        self._lock = threading.RLock()
        self._failed: dict[int, Exception] = {}

    def emit(self, event: Event) -> None:
        """Give the event to all listeners that still work."""
        with self._lock:
            for number, listener in enumerate(self._listeners):
                if number not in self._failed:
                    try:
                        listener.handle(event)
                    except Exception as error:  # a report must not change a verdict
                        self._failed[number] = error

    def close(self) -> None:
        """End all listeners; raises LabError if any of them failed before or now."""
        with self._lock:
            for number, listener in enumerate(self._listeners):
                try:
                    listener.close()
                except Exception as error:
                    self._failed.setdefault(number, error)
            if self._failed:
                names = [
                    f"{type(self._listeners[number]).__name__}: {error}"
                    for number, error in self._failed.items()
                ]
                raise LabError("reports are incomplete: " + "; ".join(names))


@contextmanager
def listening(listeners: Sequence[Listener]) -> Iterator[Bus]:
    """A bus for one run; listeners are closed in any case, their errors never hide another."""
    bus = Bus(listeners)
    try:
        yield bus
    except BaseException:
        with suppress(LabError):  # the first error is the one to be seen
            bus.close()
        raise
    bus.close()

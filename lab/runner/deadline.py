"""The time left of a step within a scenario."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from lab.runner.failures import TooLong


class Deadline:
    """Limits in seconds: one of the whole scenario, and one of the step that is being done.

    `patience`: every limit is stretched by this factor, for guests that are emulated or share
    their processors with others.
    """

    def __init__(self, limit: float, patience: float = 1.0) -> None:
        self.patience = patience
        self._limit = limit * patience
        self._end = time.monotonic() + self._limit
        self._step: tuple[float, float] | None = None

    @contextmanager
    def step(self, limit: float) -> Iterator[None]:
        """While this lasts, `limit` holds too; an inner one replaces the outer one."""
        before = self._step
        self._step = (time.monotonic() + limit * self.patience, limit * self.patience)
        try:
            yield
        finally:
            self._step = before

    def restart(self, limit: float) -> None:
        """The steps are over; what follows has a limit of its own."""
        self._limit = limit * self.patience
        self._end = time.monotonic() + self._limit
        self._step = None

    def left(self) -> float:
        """Seconds left. Raises TooLong if there are none."""
        now = time.monotonic()
        if now >= self._end:
            raise TooLong(f"took longer than its limit of {self._limit:g} s altogether")
        if self._step is None:
            return self._end - now
        end, limit = self._step
        if now >= end:
            raise TooLong(f"took longer than its limit of {limit:g} s")
        return min(end, self._end) - now

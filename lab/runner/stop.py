"""Stopping a run: Ctrl-C and SIGTERM end all guests at once, whatever they are waiting for."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from lab.errors import LabError

DUPLICATE = 1.0
"""Seconds within which a second signal is the first one again, sent to the group as well."""

AGAIN = 0.5
"""Seconds between two attempts to end a guest."""


class Interrupted(LabError):  # noqa: N818
    """The user ended the run; what was not finished has no verdict."""

    def __init__(self) -> None:
        super().__init__("interrupted")


class Stop:
    """Told once, known to all; cuts the power of the guests that run."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._cuts: dict[int, Callable[[], None]] = {}
        self._next = 0

    @property
    def requested(self) -> bool:
        """True from the moment that the run shall end."""
        return self._event.is_set()

    def check(self) -> None:
        """Raises Interrupted if the run shall end."""
        if self.requested:
            raise Interrupted

    def request(self) -> None:
        """End the run: nothing new begins, guests lose their power."""
        self._event.set()
        with self._lock:
            cuts = list(self._cuts.values())
        for cut in cuts:
            # One that cannot be cut, as it boots just now, is no reason to leave the others.
            with suppress(LabError):
                cut()

    def insist(self) -> None:
        """Cut again until no guest is left: one that was about to boot had no power to lose."""
        while self._cuts:
            time.sleep(AGAIN)
            self.request()

    @contextmanager
    def cuts(self, cut: Callable[[], None]) -> Iterator[None]:
        """While this lasts, a request to stop calls `cut`."""
        with self._lock:
            number = self._next = self._next + 1
            self._cuts[number] = cut
        try:
            self.check()
            yield
        finally:
            with self._lock:
                del self._cuts[number]


@contextmanager
def signals_stop(stop: Stop) -> Iterator[None]:
    """While this lasts, SIGINT and SIGTERM request the stop; only the main thread can do it.

    A later one raises KeyboardInterrupt, for the case that tearing down hangs.
    """

    asked = False

    def handler(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        # Not in the handler: what the stop calls takes locks that this thread may hold.
        threading.Thread(target=_end, args=(stop,), name="stop", daemon=True).start()

    with _handled(handler):
        yield


def _end(stop: Stop) -> None:
    stop.request()
    stop.insist()


@contextmanager
def signals_interrupt() -> Iterator[None]:
    """While this lasts, SIGINT and SIGTERM raise KeyboardInterrupt in the main thread."""
    with _handled(_interrupt):
        yield


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    last = -DUPLICATE

    def once(number: int, frame: FrameType | None) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= DUPLICATE:
            last = now
            handler(number, frame)

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, once) for number in numbers}
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, before[number])

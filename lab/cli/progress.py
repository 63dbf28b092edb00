"""One line that shows how far a build is: live in a terminal; in a pipe a line for each new
stage, and for each minute that it lasts."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from lab.estimates import Estimates, StageClock, left_text
from lab.progress import EVERY, Progress


class ProgressLine:
    """Shows progress on standard error while the context lasts; call it with each Progress.

    `context`: what the work is for, such as a kernel; how long it took is remembered under it.
    """

    def __init__(self, context: str = "") -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._status: Status | None = None
        self._clock = StageClock(Estimates.of_this_machine(), context)
        self._last = Progress("", "")
        self._told = 0.0

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            # It asks __rich__ again and again: what is left grows less.
            self._status = Status(self, console=self._console)
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._status is not None:
            self._status.stop()
        if kind is None:
            self._clock.end()

    def __call__(self, progress: Progress) -> None:
        begins = self._clock.see(progress)
        changed, self._last = progress.detail != self._last.detail, progress
        now = time.monotonic()
        if self._status is None and (begins or (changed and now - self._told >= EVERY)):
            self._told = now
            self._console.print(escape(self.text(share=not begins)))

    def text(self, *, share: bool = True) -> str:
        """What is done just now, how far it is (if `share` is set), and how long it still takes."""
        last = self._last
        if not last.stage:
            return "starting"
        far = f" {last.fraction:.0%}" if share and last.fraction is not None else ""
        left = left_text(self._clock.left(last.fraction))
        return f"{last.stage}{far}: {last.detail}{left}"

    def __rich__(self) -> str:
        return escape(self.text())

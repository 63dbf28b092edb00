"""One line that shows how far a build is: live in a terminal, each new stage a line in a pipe."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.status import Status

from lab.progress import Progress


class ProgressLine:
    """Shows progress on standard error while the context lasts; call it with each Progress."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._status: Status | None = None
        self._stage = ""

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status = self._console.status("starting")
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

    def __call__(self, progress: Progress) -> None:
        share = "" if progress.fraction is None else f" {progress.fraction:.0%}"
        if self._status is not None:
            self._status.update(f"{progress.stage}{share}: {progress.detail}")
        elif progress.stage != self._stage:
            self._console.print(f"{progress.stage}: {progress.detail}", soft_wrap=True)
        self._stage = progress.stage

"""What a person sees of a run: live lines in a terminal, plain lines in a pipe or a log."""

from __future__ import annotations

import sys
import time

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from lab.report.summary import Summary
from lab.report.wording import STYLES, duration_text, guest_line, printable, result_line
from lab.runner.events import (
    CheckFinished,
    Event,
    GuestReady,
    RunFinished,
    RunStarted,
    ScenarioFinished,
    ScenarioStarted,
    StageProgress,
    StepStarted,
)

QUIET_STAGE = 10.0
"""Seconds between two lines about one stage, in a pipe."""


class Terminal:
    """Shows a run on a rich console: one line per finished scenario, then a summary.

    In a terminal the running scenarios, their steps and the stage are shown live below. `slowest`
    is how many of the slowest scenarios the summary names.
    """

    def __init__(self, console: Console | None = None, slowest: int = 0) -> None:
        self._console = console or Console(file=sys.stdout, highlight=False, soft_wrap=True)
        self._summary = Summary(slowest)
        self._live = _Board(self._console) if self._console.is_terminal else None
        self._stage = ("", "", 0.0)

    def handle(self, event: Event) -> None:
        """Show the event."""
        self._summary.handle(event)
        if self._live is not None:
            self._live.handle(event)
        if isinstance(event, RunStarted):
            kernels = f" on {', '.join(event.kernels)}" if len(event.kernels) > 1 else ""
            self._print(f"{len(event.scenarios)} scenarios{kernels}, results in {event.folder}")
            if self._live is not None:
                total = len(event.scenarios) * event.repeat * max(1, len(event.kernels))
                self._live.start(total)
        elif isinstance(event, StageProgress):
            self._show_stage(event)
        elif isinstance(event, GuestReady):
            self._print(guest_line(event.facts))
        elif isinstance(event, ScenarioFinished):
            self._print(result_line(event.result))
        elif isinstance(event, RunFinished):
            self.close()
            for line in self._summary.lines():
                self._print(line)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._live is not None:
            live, self._live = self._live, None
            live.stop()

    def _show_stage(self, event: StageProgress) -> None:
        """In a pipe: a line when a stage begins, and now and then while it lasts."""
        stage, detail, when = self._stage
        due = event.detail != detail and event.time - when >= QUIET_STAGE
        if self._live is None and (event.stage != stage or due):
            self._print(f"{event.stage}: {event.detail}")
            self._stage = (event.stage, event.detail, event.time)

    def _print(self, line: str | Text) -> None:
        self._console.print(printable(line) if isinstance(line, str) else line, markup=False)


class _Board:
    """The live part: what goes on at this moment."""

    def __init__(self, console: Console) -> None:
        self._live = Live(self, console=console, refresh_per_second=4, transient=True)
        self._spinner = Spinner("dots")
        self._stage: StageProgress | None = None
        self._running: dict[tuple[str, int], tuple[float, str]] = {}
        self._total = 0
        self._done = 0

    def start(self, total: int) -> None:
        """Begin to show."""
        self._total = total
        self._live.start()

    def stop(self) -> None:
        """Take everything away."""
        self._live.stop()

    def handle(self, event: Event) -> None:
        """Take note; the next refresh shows it."""
        if isinstance(event, StageProgress):
            self._stage = event
        elif isinstance(event, GuestReady):
            self._stage = None
        elif isinstance(event, ScenarioStarted):
            self._running[event.scenario, event.repeat] = (time.monotonic(), "clone")
        elif isinstance(event, StepStarted):
            self._does(event.scenario, event.repeat, f"{event.path} {event.summary}")
        elif isinstance(event, CheckFinished):
            self._does(event.scenario, event.repeat, f"checked: {event.check}")
        elif isinstance(event, ScenarioFinished):
            self._running.pop((event.scenario, event.repeat), None)
            self._done += 1

    def _does(self, scenario: str, repeat: int, what: str) -> None:
        began = self._running.get((scenario, repeat), (time.monotonic(), ""))[0]
        self._running[scenario, repeat] = (began, printable(what))

    def __rich__(self) -> RenderableType:
        rows: list[RenderableType] = []
        stage = self._stage
        if stage is not None:
            grid = Table.grid(padding=(0, 1))
            bar = ProgressBar(100, 100 * stage.fraction, width=20) if stage.fraction else ""
            grid.add_row(self._spinner, stage.stage, bar, Text(stage.detail, style="dim"))
            rows.append(grid)
        now = time.monotonic()
        if self._running:
            grid = Table.grid(padding=(0, 1))
            for (name, _), (began, doing) in list(self._running.items()):
                took = Text(duration_text(now - began), style="dim")
                grid.add_row(self._spinner, name, took, Text(doing, style="dim"))
            rows.append(grid)
            rows.append(Text(f"{self._done} of {self._total} done", style=STYLES["note"]))
        return Group(*rows)

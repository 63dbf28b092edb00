"""What a person sees of a run: live lines in a terminal, plain lines in a pipe or a log."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Mapping

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from lab.estimates import Estimates, StageClock, left_text, rough
from lab.progress import EVERY, Progress
from lab.report.summary import Summary
from lab.report.wording import STYLES, duration_text, guest_line, printable, result_line
from lab.runner.events import (
    CheckFinished,
    Event,
    GuestReady,
    RunFinished,
    RunResumed,
    RunStarted,
    ScenarioFinished,
    ScenarioStarted,
    StageProgress,
    StepStarted,
)
from lab.runner.verdict import Verdict


class Terminal:
    """Shows a run on a rich console: one line per finished scenario, then a summary.

    In a terminal the running scenarios, their steps and the stage are shown live below. `slowest`
    is how many of the slowest scenarios the summary names; None: ten, if there are more than ten.
    `estimates` learns how long things take.
    """

    def __init__(
        self,
        console: Console | None = None,
        slowest: int | None = None,
        estimates: Estimates | None = None,
    ) -> None:
        self._console = console or Console(file=sys.stdout, highlight=False, soft_wrap=True)
        self._summary = Summary(slowest)
        self._estimates = estimates or Estimates()
        self._clock = StageClock(self._estimates)
        self._long = False
        board = _Board(self._console, self._estimates, self._clock)
        self._live = board if self._console.is_terminal else None
        self._told = ("", 0.0)

    def handle(self, event: Event) -> None:
        """Show the event."""
        self._summary.handle(event)
        if self._live is not None:
            self._live.handle(event)
        if isinstance(event, RunStarted):
            self._long = event.long
            self._print(_headline(event, self._estimates))
            if isinstance(event, RunResumed) and event.under_way:
                self._print(f"under way when it ended, run again: {', '.join(event.under_way)}")
            if self._live is not None:
                self._live.start(event)
        elif isinstance(event, StageProgress):
            self._show_stage(event)
        elif isinstance(event, GuestReady):
            self._clock.end()
            self._print(guest_line(event.facts))
        elif isinstance(event, ScenarioFinished):
            self._finished(event)
        elif isinstance(event, RunFinished):
            self.close()
            for line in self._summary.lines():
                self._print(line)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._live is not None:
            live, self._live = self._live, None
            live.stop()

    def _finished(self, event: ScenarioFinished) -> None:
        """Show the result, and remember how long it took, for the next time."""
        name = _time_of(event.scenario, event.kernel, long=self._long)
        if event.result.verdict is Verdict.PASSED:
            self._estimates.took(name, event.result.duration)
        if self._live is not None:
            self._live.finished(event, name)
        self._print(result_line(event.result))

    def _show_stage(self, event: StageProgress) -> None:
        """In a pipe: a line when a stage begins, and now and then while it lasts."""
        begins = self._clock.see(Progress(event.stage, event.detail), event.kernel)
        detail, when = self._told
        due = event.detail != detail and event.time - when >= EVERY
        if self._live is None and (begins or due):
            left = left_text(self._clock.left(event.fraction))
            self._print(f"{event.stage}: {event.detail}{left}")
            self._told = (event.detail, event.time)

    def _print(self, line: str | Text) -> None:
        self._console.print(printable(line) if isinstance(line, str) else line, markup=False)


class _Board:
    """The live part: what goes on at this moment."""

    def __init__(self, console: Console, estimates: Estimates, clock: StageClock) -> None:
        self._estimates = estimates
        self._clock = clock
        self._to_come: Counter[str] = Counter()
        self._jobs = 1
        self._live = Live(self, console=console, refresh_per_second=4, transient=True)
        self._spinner = Spinner("dots")
        self._stage: StageProgress | None = None
        self._running: dict[tuple[str, int], tuple[float, str]] = {}
        self._total = 0
        self._done = 0

    def start(self, event: RunStarted) -> None:
        """Begin to show."""
        self._jobs = event.jobs
        self._to_come = _to_come(event)
        self._done = len(event.earlier) if isinstance(event, RunResumed) else 0
        self._total = self._done + self._to_come.total()
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

    def finished(self, event: ScenarioFinished, name: str) -> None:
        """One less to come; `name` is its time's."""
        self._running.pop((event.scenario, event.repeat), None)
        self._to_come[name] -= 1
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
            detail = f"{stage.detail}{left_text(self._clock.left(stage.fraction))}"
            grid.add_row(self._spinner, stage.stage, bar, Text(detail, style="dim"))
            rows.append(grid)
        now = time.monotonic()
        if self._running:
            grid = Table.grid(padding=(0, 1))
            for (name, _), (began, doing) in list(self._running.items()):
                took = Text(duration_text(now - began), style="dim")
                grid.add_row(self._spinner, name, took, Text(doing, style="dim"))
            rows.append(grid)
            left = left_text(_time_for(self._to_come, self._jobs, self._estimates))
            rows.append(Text(f"{self._done} of {self._total} done{left}", style=STYLES["note"]))
        return Group(*rows)


def _headline(event: RunStarted, estimates: Estimates) -> str:
    """The first line: what is run, how long it takes, where its results are."""
    kernels = f" on {', '.join(event.kernels)}" if len(event.kernels) > 1 else ""
    count = f"{len(event.scenarios)} scenarios{kernels}"
    expected = _expected(event, estimates)
    if not isinstance(event, RunResumed):
        return f"{count}{expected}, results in {event.folder}"
    done = len(event.earlier)
    total = done + _to_come(event).total()
    return (
        f"going on: {count}, {done} of {total} runs are done{expected}, results in {event.folder}"
    )


def _to_come(event: RunStarted) -> Counter[str]:
    """How often each scenario is run in a run that begins, or goes on, by the names of times."""
    all_of_them: Counter[str] = Counter()
    for kernel in event.kernels or ("",):
        for name in event.scenarios:
            all_of_them[_time_of(name, kernel, long=event.long)] += event.repeat
    if isinstance(event, RunResumed):
        done = (_time_of(one.name, one.kernel, long=event.long) for one in event.earlier)
        all_of_them.subtract(done)
    return all_of_them


def _time_of(scenario: str, kernel: str, *, long: bool) -> str:
    """The name of a scenario's time among the estimates: on each kernel, and with its long values,
    it is another one."""
    return scenario + (f" on {kernel}" if kernel else "") + (" --long" if long else "")


def _time_for(runs: Mapping[str, int], jobs: int, estimates: Estimates) -> float | None:
    """Seconds that runs of scenarios take, so many of each; None if half are not known."""
    times = {name: estimates.usual(name) for name in runs}
    known = {name: usual for name, usual in times.items() if usual is not None}
    if len(known) * 2 < len(runs):
        return None
    missing = sum(known.values()) / len(known) if known else 0.0
    return sum(count * known.get(name, missing) for name, count in runs.items()) / max(1, jobs)


def _expected(event: RunStarted, estimates: Estimates) -> str:
    """Such as ", about 12 min"; nothing if it is not known. What is made first is in it."""
    to_come = _to_come(event)
    if not to_come.total():
        return ""
    seconds = _time_for(to_come, event.jobs, estimates)
    known = {name: usual for name in event.to_make if (usual := estimates.usual(name)) is not None}
    unknown = [name for name in event.to_make if name not in known]
    told = ""
    if seconds:
        told = f", about {rough(seconds + sum(known.values()))}"
        told += f" with {', '.join(known)} to make" if known else ""
    if unknown:
        told += f", and what it takes to make {', '.join(unknown)}"
    return told

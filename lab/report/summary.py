"""The end of a run in lines of text: what did not pass and why, the counts, the slowest."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from lab.data import program
from lab.report.rates import rate_lines, round_line
from lab.report.wording import counts_text, duration_text, short
from lab.runner.events import Event, RunFinished, RunResumed, RunStarted, ScenarioFinished
from lab.runner.verdict import GREEN_VERDICTS, Finding, ScenarioResult, count_verdicts

EVIDENCE_LINES = 16
_DRY = re.compile(
    r"(?:^|\] )(?:R[A-DS][XIP]|RBP|R\d\d|FS|CS|CR\d|PKRU|Code|Hardware name|Modules linked in): ?"
)
"""Lines of a kernel trace that tell a person little: registers and the like."""
CONSEQUENCES = 4
SLOWEST = 10
"""So many of the slowest are named, of a run of more than these, unless asked otherwise."""


class Summary:
    """Collects what the last lines of a run say."""

    def __init__(self, slowest: int | None = None) -> None:
        self._slowest = slowest
        self._results: list[ScenarioResult] = []
        self._command = ""
        self._kernels: tuple[str, ...] = ()
        self._repeat = 1
        self._round = 1
        self._end: RunFinished | None = None

    def handle(self, event: Event) -> None:
        """Take note."""
        if isinstance(event, RunStarted):
            self._command = event.command
            self._kernels = event.kernels
            self._repeat = event.repeat
            self._round = len(event.scenarios) * max(1, len(event.kernels))
            if isinstance(event, RunResumed):
                self._results += event.earlier
        elif isinstance(event, ScenarioFinished):
            self._results.append(event.result)
        elif isinstance(event, RunFinished):
            self._end = event

    def lines(self) -> Iterator[str]:
        """The summary; nothing before the run is finished."""
        if self._end is None:
            return
        for result in self._results:
            if result.verdict not in GREEN_VERDICTS:
                yield ""
                yield from explained(result)
        yield from self._slow()
        if self._repeat > 1:
            yield ""
            yield from rate_lines(self._results)
            yield round_line(self._results, self._round, self._repeat)
        yield ""
        if self._end.not_run:
            count = len(self._end.not_run)
            yield f"interrupted: {count} not run: {short(', '.join(self._end.not_run), 400)}"
            yield f"go on:   {shlex.join([program(), 'run', '--resume', self._end.folder])}"
        if len(self._kernels) > 1:
            yield from self._by_kernel()
        yield _totals(self._end)
        yield f"results: {self._end.folder}"

    def _slow(self) -> Iterator[str]:
        """The slowest, if asked for, or if there are many: each scenario once, at its slowest."""
        slowest: dict[str, float] = {}
        for result in self._results:
            slowest[result.label] = max(result.duration, slowest.get(result.label, 0.0))
        wanted = self._slowest
        if wanted is None:
            wanted = SLOWEST if len(slowest) > SLOWEST else 0
        if wanted:
            yield ""
            yield "slowest:"
        for label in sorted(slowest, key=lambda one: -slowest[one])[:wanted]:
            yield f"  {duration_text(slowest[label]):>12}  {label}"

    def _by_kernel(self) -> Iterator[str]:
        """A line for each kernel."""
        for kernel in self._kernels:
            mine = [result for result in self._results if result.kernel == kernel]
            yield f"{kernel:<6} {counts_text(count_verdicts(mine))}"


def _totals(end: RunFinished) -> str:
    colour = "green" if end.green else "NOT GREEN"
    return f"{colour}: {counts_text(end.counts)} in {duration_text(end.duration)}"


def explained(result: ScenarioResult) -> Iterator[str]:
    """What a scenario found, where that is kept, how it is run again and looked into."""
    yield f"{result.verdict} {result.label}"
    for finding in result.findings[:1]:
        yield from _finding(finding, EVIDENCE_LINES)
    for finding in result.consequences[:CONSEQUENCES]:
        yield f"  then, {finding.verdict} at {finding.where}: {short(finding.what)}"
    rest = len(result.consequences) - CONSEQUENCES
    if rest > 0:
        yield f"  ... and {rest} more"
    if result.folder is not None:
        yield f"  results: {result.folder}"
    if result.command:
        yield f"  again:   {result.command}"
    if result.kept:
        yield f"  guest:   {result.kept}"


def _finding(finding: Finding, limit: int) -> Iterator[str]:
    yield f"  at {finding.where}: {finding.what}"
    lines = [line for line in finding.detail if not _DRY.search(line)]
    for line in lines[:limit]:
        yield f"    {line}"
    if len(finding.detail) > min(limit, len(lines)):
        yield f"    ... all {len(finding.detail)} lines are in the results"

"""Verdicts: the eight words a scenario can end with, the findings behind them, and exit statuses.

    passed    every step and every automatic check held
    failed    a check of the scenario, or one that is always made, did not hold
    splat     the kernel log has a warning, a bug report, a stall ...
    panic     the guest kernel panicked
    hang      the guest, or one request to it, never answered
    lost      the guest is gone without having said why
    error     the lab itself could not do its work
    skipped   not run, for the declared reason

They are never folded into each other, and nothing is retried: the first finding decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from pathlib import Path


class Verdict(StrEnum):
    """How a scenario ended."""

    PASSED = "passed"
    FAILED = "failed"
    SPLAT = "splat"
    PANIC = "panic"
    HANG = "hang"
    LOST = "lost"
    ERROR = "error"
    SKIPPED = "skipped"


class ExitStatus(IntEnum):
    """What the process tells its caller."""

    GREEN = 0
    NOT_ALL_PASSED = 1
    USAGE = 2
    ENVIRONMENT = 3
    LAB_FAILED = 4
    INTERRUPTED = 130


GREEN_VERDICTS = frozenset({Verdict.PASSED, Verdict.SKIPPED})
"""What a green run may consist of."""


MODULE_BUILD = "module build"
"""`Finding.where` of a module source that does not compile."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: which verdict it calls for, where it was seen, and the evidence."""

    verdict: Verdict
    where: str
    what: str
    detail: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScenarioResult:
    """The end of one scenario. `findings[0]` decided; the others came after it.

    kernel: the name of the guest's. label: the name, with the kernel before it if the run has
    several. command: runs it again. reports: figures that steps reported under a label. kept: the
    command that opens its guest, which was kept, or why that could not be.
    """

    name: str
    verdict: Verdict
    kernel: str = ""
    reason: str = ""
    findings: tuple[Finding, ...] = ()
    duration: float = 0.0
    folder: Path | None = None
    proves: tuple[str, ...] = ()
    repeat: int = 1
    command: str = ""
    reports: Mapping[str, object] = field(default_factory=dict)
    label: str = ""
    kept: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", self.label or self.name)

    @property
    def lab_failed(self) -> bool:
        """True if it was the lab that failed, and not the module source under test."""
        where = self.findings[0].where if self.findings else ""
        return self.verdict is Verdict.ERROR and where != MODULE_BUILD

    @property
    def consequences(self) -> tuple[Finding, ...]:
        """What was seen after the deciding finding."""
        return self.findings[1:]


@dataclass(frozen=True)
class RunResult:
    """The end of a run; durations in seconds."""

    results: tuple[ScenarioResult, ...]
    duration: float
    folder: Path | None
    selected: int
    not_run: tuple[str, ...] = ()
    interrupted: bool = False
    counts: dict[Verdict, int] = field(default_factory=dict)

    @property
    def green(self) -> bool:
        """True if something was selected, all of it was run, and all of it passed or skipped."""
        return (
            self.selected > 0
            and len(self.results) == self.selected
            and not self.not_run
            and not self.interrupted
            and all(result.verdict in GREEN_VERDICTS for result in self.results)
        )

    @property
    def exit_status(self) -> ExitStatus:
        """0 green; 2 nothing selected; 4 if the lab failed in all that it tried; 130 if it was
        ended before anything had a verdict; else 1.

        A module that does not compile is the user's, not the lab's: 1.
        """
        if self.selected == 0:
            return ExitStatus.USAGE
        if self.green:
            return ExitStatus.GREEN
        if self.interrupted and not self.results:
            return ExitStatus.INTERRUPTED
        tried = [r for r in self.results if r.verdict is not Verdict.SKIPPED]
        if tried and not self.interrupted and all(r.lab_failed for r in tried):
            return ExitStatus.LAB_FAILED
        return ExitStatus.NOT_ALL_PASSED


def count_verdicts(results: Iterable[ScenarioResult]) -> dict[Verdict, int]:
    """How often each verdict occurs, in the order of the enumeration, zeros included."""
    counts = dict.fromkeys(Verdict, 0)
    for result in results:
        counts[result.verdict] += 1
    return counts

"""What the engine tells while it works: frozen events, and who listens to them.

Every event carries `time`, seconds since the epoch, so that a report made later from the recorded
events knows as much as one that was there. `as_record` gives the form that is written as JSON.
Events of scenarios that run at the same time interleave; see ScenarioEvent.
Listeners are called one at a time, never concurrently.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Protocol

from lab.runner.verdict import Finding, ScenarioResult, Verdict


class StepOutcome(StrEnum):
    """How a step ended."""

    DONE = "done"
    EXPECTED_ERROR = "expected error"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something happened at `time` (seconds since the epoch)."""

    time: float = field(default_factory=time.time)


@dataclass(frozen=True, kw_only=True)
class RunStarted(Event):
    """A run begins: what it runs, where its folder is, and the command that repeats it.

    basis: digests of what decides its verdicts, see lab.runner.resume. to_make: what its guests
    lack and is made first, by the names of lab.estimates: "image 6.1", "module 6.1" ... long: with
    the long values of scenarios.
    """

    folder: str
    command: str
    scenarios: tuple[str, ...]
    kernels: tuple[str, ...] = ()
    jobs: int = 1
    repeat: int = 1
    basis: Mapping[str, str] = field(default_factory=dict)
    to_make: tuple[str, ...] = ()
    long: bool = False


@dataclass(frozen=True, kw_only=True)
class RunResumed(RunStarted):
    """A run that had ended before its end goes on, in its folder.

    earlier: what it had come to by then; not in the record, where that is told already. began: its
    RunStarted's time. under_way: what had begun and is run again.
    """

    earlier: tuple[ScenarioResult, ...] = ()
    began: float = 0.0
    under_way: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class StageProgress(Event):
    """Something slow is under way before scenarios begin (image, module build, template)."""

    stage: str
    detail: str
    fraction: float | None = None
    kernel: str = ""


@dataclass(frozen=True, kw_only=True)
class GuestReady(Event):
    """The template of a kernel is there: what the scenarios after this event run on."""

    facts: Mapping[str, str]
    kernel: str = ""


@dataclass(frozen=True, kw_only=True)
class ScenarioEvent(Event):
    """Something about one run of a scenario, which these three tell from all others."""

    scenario: str
    repeat: int = 1
    kernel: str = ""


@dataclass(frozen=True, kw_only=True)
class ScenarioStarted(ScenarioEvent):
    """A scenario begins in its own clone."""

    title: str = ""
    steps: int = 0


@dataclass(frozen=True, kw_only=True)
class StepStarted(ScenarioEvent):
    """A step begins; `index` counts from 0, `path` is its place in the file."""

    index: int
    path: str
    verb: str
    summary: str


@dataclass(frozen=True, kw_only=True)
class StepFinished(ScenarioEvent):
    """A step ended after `duration` seconds; `detail` is what it found out."""

    index: int
    path: str
    verb: str
    summary: str
    outcome: StepOutcome
    duration: float
    detail: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CheckFinished(ScenarioEvent):
    """An automatic check ended; no `findings` means that it held."""

    check: str
    duration: float
    findings: tuple[Finding, ...] = ()
    detail: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ScenarioFinished(ScenarioEvent):
    """A scenario ended."""

    result: ScenarioResult


@dataclass(frozen=True, kw_only=True)
class RunFinished(Event):
    """The run ended, complete or interrupted."""

    duration: float
    counts: Mapping[Verdict, int]
    green: bool
    interrupted: bool
    not_run: tuple[str, ...]
    exit_status: int
    folder: str


class Listener(Protocol):
    """Whoever wants to know: the terminal, JUnit, JSON lines."""

    def handle(self, event: Event) -> None:
        """Take one event, without blocking for long. An exception ends the listener's part."""

    def close(self) -> None:
        """The run is over, also after an error: write what is to be written."""


def as_record(event: Event) -> dict[str, object]:
    """The event as JSON types, with its class name under "event"."""
    record: dict[str, object] = {"event": type(event).__name__}
    for item in dataclasses.fields(event):
        if not (isinstance(event, RunResumed) and item.name == "earlier"):
            record[item.name] = plain(getattr(event, item.name))
    return record


def plain(value: object) -> object:
    """`value` made of JSON types only: dataclasses become objects, paths and enums text."""
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return value.hex() if isinstance(value, bytes | bytearray) else str(value)

"""A run as it lies in its results folder, for reports that are made later.

Read from events.jsonl, which is complete up to where a run ended, whatever ended it, and goes on
where the run was resumed. Folders are found from where the run's lies now, so that results may be
moved.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from lab.errors import UsageError
from lab.runner.verdict import GREEN_VERDICTS, Finding, ScenarioResult, Verdict

Record = Mapping[str, Any]


@dataclass(frozen=True)
class StoredScenario(ScenarioResult):
    """One run of a scenario; `started`: seconds since the epoch. What is large is read when asked
    for."""

    folder: Path = field(kw_only=True)
    title: str = field(kw_only=True)
    started: float = field(kw_only=True)

    @property
    def group(self) -> str:
        """The group of the scenario."""
        return self.name.rpartition("/")[0] or "scenarios"

    @property
    def key(self) -> str:
        """Tells it from all others of its run; the name of its folder."""
        return self.label if self.repeat == 1 else f"{self.label}.{self.repeat}"

    @property
    def green(self) -> bool:
        """Whether it passed or was skipped for its reason."""
        return self.verdict in GREEN_VERDICTS

    def events(self) -> Iterator[Record]:
        """Its steps and checks as they were recorded."""
        return _lines(self.folder / "events.jsonl")

    def result(self) -> ScenarioResult:
        """As it was when it ended."""
        return ScenarioResult(
            **{one.name: getattr(self, one.name) for one in fields(ScenarioResult)}
        )

    def text(self, name: str) -> str:
        """A file of its folder; empty if there is none."""
        return _text(self.folder / name)

    def record(self, name: str) -> Record:
        """A JSON object of its folder; empty if there is none."""
        try:
            found = json.loads(_text(self.folder / name) or "{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True)
class StoredRun:
    """A run. facts: of the guest, by kernel. finished: whether it came to its end. duration:
    seconds, without the time before it was resumed. names: of its scenarios. See RunStarted."""

    folder: Path
    command: str
    started: float
    duration: float
    names: tuple[str, ...]
    kernels: tuple[str, ...]
    jobs: int
    repeat: int
    basis: Mapping[str, str]
    facts: Mapping[str, Mapping[str, str]]
    scenarios: tuple[StoredScenario, ...]
    not_run: tuple[str, ...]
    finished: bool

    @property
    def green(self) -> bool:
        """Whether all that was selected was run and passed, or was skipped for its reason."""
        complete = self.finished and not self.not_run and bool(self.scenarios)
        return complete and all(one.green for one in self.scenarios)


def read_run(folder: Path) -> StoredRun:
    """The run in a results folder. UsageError if there is none, or if it cannot be read."""
    path = folder / "events.jsonl"
    try:
        return _run(folder, list(_lines(path)))
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise UsageError(
            f"{path} is not as the lab writes it: {type(error).__name__}: {error}",
            "name another run; what an older lab wrote, or was changed, cannot be read",
        ) from error


def _run(folder: Path, events: Sequence[Record]) -> StoredRun:
    parts = _parts(events)
    if not parts:
        raise UsageError(
            f"{folder} holds no results of a run",
            "name the folder of a run, e.g. results/latest",
        )
    begin = parts[0][0]
    end = next((one for one in parts[-1] if one.get("event") == "RunFinished"), None)
    started: dict[tuple[str, int, str], Record] = {
        _identity(one): one for one in events if one.get("event") == "ScenarioStarted"
    }
    known = sum(float(one[-1]["time"]) - float(one[0]["time"]) for one in parts)
    return StoredRun(
        folder=folder,
        command=str(begin["command"]),
        started=float(begin["time"]),
        duration=float(end["duration"]) if end else known,
        names=tuple(begin["scenarios"]),
        kernels=tuple(begin.get("kernels", ())),
        jobs=int(begin.get("jobs", 1)),
        repeat=int(begin.get("repeat", 1)),
        basis=dict(begin.get("basis", {})),
        facts={one["kernel"]: one["facts"] for one in events if one.get("event") == "GuestReady"},
        scenarios=tuple(
            _scenario(folder, one["result"], started.get(_identity(one), {}))
            for one in events
            if one.get("event") == "ScenarioFinished"
        ),
        not_run=tuple(end["not_run"]) if end else (),
        finished=end is not None and not end["interrupted"],
    )


def _parts(events: Sequence[Record]) -> list[list[Record]]:
    """The events of a run from its start, and from each time that it was resumed."""
    parts: list[list[Record]] = []
    for one in events:
        if one.get("event") == "RunStarted" or (parts and one.get("event") == "RunResumed"):
            parts.append([])
        if parts:
            parts[-1].append(one)
    return parts


def _identity(event: Record) -> tuple[str, int, str]:
    return str(event["scenario"]), int(event["repeat"]), str(event["kernel"])


def _scenario(folder: Path, result: Record, begin: Record) -> StoredScenario:
    label, repeat = str(result["label"]), int(result["repeat"])
    return StoredScenario(
        label=label,
        name=str(result["name"]),
        kernel=str(result["kernel"]),
        repeat=repeat,
        title=str(begin.get("title", "")),
        started=float(begin.get("time", 0.0)),
        duration=float(result["duration"]),
        verdict=Verdict(result["verdict"]),
        reason=str(result["reason"]),
        findings=tuple(_finding(one) for one in result["findings"]),
        proves=tuple(result["proves"]),
        command=str(result["command"]),
        reports=dict(result["reports"]),
        kept=str(result.get("kept", "")),
        folder=folder / (label if repeat == 1 else f"{label}.{repeat}"),
    )


def _finding(record: Record) -> Finding:
    return Finding(
        Verdict(record["verdict"]),
        str(record["where"]),
        str(record["what"]),
        tuple(map(str, record["detail"])),
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _lines(path: Path) -> Iterator[Record]:
    """The objects of a file of JSON lines; the last line may have been cut off by a sudden end."""
    for line in _text(path).splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            yield record

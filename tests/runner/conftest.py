"""Runs scenarios on a fake guest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lab.runner import checks, failures
from lab.runner.engine import RunSettings, run
from lab.runner.events import Event
from lab.runner.verdict import RunResult, ScenarioResult
from lab.scenario.load import parse_scenario

from .fake_guest import FakeTemplate, Misfortune

CYCLE = """
summary: A snapshot is taken of a device that is written before and after
proves: [K18]
disks:
  a: {size: 1MiB}
  store: {size: 4MiB}
steps:
  - write: {device: a, at: 0, size: 64KiB}
  - create: {devices: [a]}
  - append_storage: {device: store}
  - take:
  - write: {device: a, at: 32KiB, size: 128KiB}
"""


class Recorder:
    """Keeps all events."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.closed = 0

    def handle(self, event: Event) -> None:
        self.events.append(event)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake kernel does everything at once or never."""
    monkeypatch.setattr(checks, "SETTLE_LIMIT", 0.0)
    monkeypatch.setattr(failures, "TASKS_PAUSE", 0.0)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def run_all(tmp_path: Path, recorder: Recorder) -> Callable[..., RunResult]:
    def go(*texts: str, template: FakeTemplate | None = None, **settings: object) -> RunResult:
        scenarios = [
            parse_scenario(text, f"group/s{number}", f"s{number}.yaml")
            for number, text in enumerate(texts)
        ]
        chosen = RunSettings(results=tmp_path / "results", **settings)  # type: ignore[arg-type]
        made = template or FakeTemplate()
        return run(scenarios, chosen, [recorder], lambda _progress, _kernel, _memory: made)

    return go


@pytest.fixture
def run_one(run_all: Callable[..., RunResult]) -> Callable[..., ScenarioResult]:
    def go(
        text: str = CYCLE,
        *broken: str,
        misfortunes: tuple[Misfortune, ...] = (),
        **settings: object,
    ) -> ScenarioResult:
        template = FakeTemplate(frozenset(broken), misfortunes)
        return run_all(text, template=template, **settings).results[0]

    return go

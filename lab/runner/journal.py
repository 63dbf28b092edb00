"""The record of one scenario: events to the listeners and to its own folder."""

from __future__ import annotations

from typing import Any

from lab.runner.bus import Bus
from lab.runner.events import Event, as_record
from lab.runner.folder import Folder
from lab.runner.verdict import Finding


class Journal:
    """Where a scenario writes down what happens; keeps the findings.

    place: what the scenario's events have in common, see ScenarioEvent.
    """

    def __init__(self, scenario: str, repeat: int, kernel: str, folder: Folder, bus: Bus) -> None:
        self.place: dict[str, Any] = {"scenario": scenario, "repeat": repeat, "kernel": kernel}
        self.folder = folder
        self.findings: list[Finding] = []
        self._bus = bus

    def emit(self, event: Event) -> None:
        """Tell the listeners and write the event into the scenario's events.jsonl."""
        self._bus.emit(event)
        self.folder.append_json("events.jsonl", as_record(event))

    def add(self, *findings: Finding) -> None:
        """Something is wrong. The first of all is the verdict."""
        self.findings += findings

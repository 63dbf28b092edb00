"""The record of one scenario: events to the listeners and to its own folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lab.runner.bus import Bus
from lab.runner.events import Event, as_record
from lab.runner.folder import Folder
from lab.runner.traces import Traces
from lab.runner.verdict import Finding


class Journal:
    """Where a scenario writes down what happens; keeps the findings, their traces decoded.

    place: what the scenario's events have in common, see ScenarioEvent.
    traces: decodes them; also for others that write traces down.
    """

    def __init__(self, place: Mapping[str, Any], folder: Folder, bus: Bus, traces: Traces) -> None:
        self.place = place
        self.folder = folder
        self.findings: list[Finding] = []
        self._bus = bus
        self.traces = traces

    def emit(self, event: Event) -> None:
        """Tell the listeners and write the event into the scenario's events.jsonl."""
        self._bus.emit(event)
        self.folder.append_json("events.jsonl", as_record(event))

    def add(self, *findings: Finding) -> None:
        """Something is wrong. The first of all is the verdict."""
        self.findings += [replace(one, detail=self.traces.decoded(one.detail)) for one in findings]

"""Events as JSON lines: each one readable as soon as it happened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lab.cli.run_options import ReportOptions
from lab.report.jsonl import JsonLines
from lab.runner.events import Event, RunResumed
from lab.runner.verdict import ScenarioResult, Verdict


def test_every_event_is_a_line_with_all_it_knows(tmp_path: Path, events: list[Event]) -> None:
    report = JsonLines()
    path = tmp_path / "events.jsonl"
    for number, event in enumerate(events, 1):
        report.handle(event)
        assert len(path.read_text().splitlines()) == number
    report.close()
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert [record["event"] for record in records] == [type(event).__name__ for event in events]
    (failed,) = (
        record["result"]
        for record in records
        if record["event"] == "ScenarioFinished" and record["scenario"] == "cbt/failed"
    )
    assert failed["verdict"] == "failed"
    assert failed["findings"][0]["detail"] == ["line 1", "line 2"]
    assert failed["folder"] == str(tmp_path / "failed")
    assert all(isinstance(record["time"], float) for record in records)


def test_another_file_gets_the_same(tmp_path: Path, events: list[Event]) -> None:
    for report in (JsonLines(tmp_path / "deep" / "run.jsonl"), JsonLines()):
        report.handle(events[0])
        report.close()
    also = (tmp_path / "deep" / "run.jsonl").read_text()
    assert json.loads(also)["time"] == 100.0
    assert also == (tmp_path / "events.jsonl").read_text()


def test_a_run_that_goes_on_is_written_behind_what_it_has(
    tmp_path: Path, events: list[Event]
) -> None:
    first = JsonLines()
    for event in events[:4]:
        first.handle(event)
    first.close()
    path, also = tmp_path / "events.jsonl", tmp_path / "all.jsonl"
    with path.open("a") as file:
        file.write('{"event": "StepFin')  # it was killed
    common: Any = {"folder": str(tmp_path), "command": "", "scenarios": ("cbt/a",)}
    again = RunResumed(**common, earlier=(ScenarioResult("cbt/a", Verdict.PASSED),))
    listeners = ReportOptions(jsonl=also).listeners()
    for second in (one for one in listeners if isinstance(one, JsonLines)):
        second.handle(again)
        second.close()
    records = [json.loads(line) for line in path.read_text().splitlines()]
    told = [type(event).__name__ for event in events[:4]]
    assert [record["event"] for record in records] == [*told, "RunResumed"]
    assert "earlier" not in records[-1]
    assert also.read_text() == path.read_text()

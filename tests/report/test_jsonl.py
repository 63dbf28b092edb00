"""Events as JSON lines: each one readable as soon as it happened."""

from __future__ import annotations

import json
from pathlib import Path

from lab.report.jsonl import JsonLines
from lab.runner.events import Event


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
    report = JsonLines(tmp_path / "deep" / "run.jsonl")
    report.handle(events[0])
    report.close()
    also = (tmp_path / "deep" / "run.jsonl").read_text()
    assert json.loads(also)["time"] == 100.0
    assert also == (tmp_path / "events.jsonl").read_text()

"""What is recorded for reports is right, and small however long a scenario is."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from lab.model.seen import MapRun
from lab.runner import figures
from lab.runner.figures import KEPT_FILLS, Figures, Life
from lab.runner.sampling import CELLS, SLOTS, Latencies, cells_of, start_of, step_of
from lab.runner.verdict import ScenarioResult, Verdict

from .conftest import CYCLE

RunOne = Callable[..., ScenarioResult]
HELD = CYCLE + "  - read_cbt: {device: a}\n  - destroy:\n"


def record_of(result: ScenarioResult) -> dict[str, Any]:
    assert result.folder is not None
    record: dict[str, Any] = json.loads((result.folder / "figures.json").read_text())
    return record


def test_a_cell_has_the_newest_value_of_its_blocks() -> None:
    blocks = 3 * CELLS
    runs = [MapRun(0, 4, 0), MapRun(4, 1, 7), MapRun(5, 1, 9), MapRun(6, blocks - 6, 2)]
    per_cell, coded = cells_of(runs, blocks)
    assert per_cell == 3
    assert coded == [[1, 0], [1, 9], [CELLS - 2, 2]]
    assert cells_of([MapRun(0, 5, 1)], 5) == (1, [[5, 1]])


def test_latencies_keep_every_write_and_their_number_of_slots() -> None:
    kept = Latencies()
    for number in range(5000):
        kept.add(1000.0 + number * 0.1, 0.001 if number % 10 else 0.25)
    assert sum(kept.counts.values()) == 5000
    assert max(slot for slot, _ in kept.counts) < SLOTS
    assert kept.slot * SLOTS >= 499.9
    assert kept.longest == 0.25
    slow = sum(count for (_, step), count in kept.counts.items() if start_of(step + 1) > 0.2)
    assert slow == 500


@pytest.mark.parametrize("seconds", [1e-6, 3.7e-5, 0.001, 0.0321, 1.0, 77.0])
def test_a_duration_lies_within_its_step(seconds: float) -> None:
    step = step_of(seconds)
    assert start_of(step) <= seconds * (1 + 1e-9)
    assert seconds < start_of(step + 1)
    assert math.isclose(start_of(step + 4), 2 * start_of(step))


def test_a_plateau_of_a_filling_is_its_two_ends_and_points_are_limited() -> None:
    life = Life("s", ("a",), 0.0, 8)
    for at in range(10):
        life.filled(float(at), 5, 6)
    assert life.fill == [(0.0, 5, 6), (9.0, 5, 6)]
    for at in range(5000):
        life.filled(10.0 + at, at, at)
    assert len(life.fill) <= KEPT_FILLS
    assert life.fill[0] == (0.0, 5, 6)
    assert life.fill[-1] == (5009.0, 4999, 4999)


def test_what_is_told_late_does_not_make_a_storage_emptier() -> None:
    life = Life("s", ("a",), 0.0, 8)
    for at, least, most in ((1.0, 0, 0), (5.0, 0, 0), (2.0, 8, 8), (3.0, 16, 24), (6.0, 20, 20)):
        life.filled(at, least, most)
    life.end(7.0)
    life.settle()
    wanted = [(1.0, 0, 0), (2.0, 8, 8), (3.0, 16, 24), (5.0, 16, 24), (6.0, 20, 24), (7.0, 20, 24)]
    assert life.fill == wanted


def test_the_guests_clock_is_read_from_the_answer_that_came_soonest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = Figures()
    for now, told in ((1000.5, 10.0), (1001.1, 11.0), (1009.0, 12.0)):
        monkeypatch.setattr(figures.time, "time", lambda now=now: now)
        kept.clock({"end_ns": int(told * 1e9)})
    assert kept.host_time(int(12e9)) == pytest.approx(1002.1)
    monkeypatch.setattr(figures.time, "time", lambda: 1100.0)
    kept.booted()
    kept.clock({"done_ns": int(1e9)})
    assert kept.host_time(int(2e9)) == pytest.approx(1101.0)


def test_a_snapshot_is_recorded_with_its_storage_and_its_map(run_one: RunOne) -> None:
    result = run_one(HELD)
    assert result.verdict is Verdict.PASSED
    record = record_of(result)
    life = record["snapshots"][0]
    assert (life["name"], life["devices"]) == ("s", ["a"])
    assert life["created"] <= life["taken"] <= life["ended"]
    assert [sectors for _, sectors in life["given"]] == [4 * 2048]
    assert life["fill"][0][1:] == [0, 0]
    # 128 KiB at 32 KiB touch what chunks of the default size cover
    assert life["fill"][-1][1] == life["fill"][-1][2] >= 256
    row = record["maps"][0]
    assert (row["device"], row["takes"], row["number"]) == ("a", 1, 1)
    assert sum(cells for cells, _ in row["cells"]) * row["per_cell"] >= row["blocks"]
    assert record["disagreements"] == []


def test_maps_of_trackers_that_begin_anew_are_kept_apart(run_one: RunOne) -> None:
    again = HELD.split("steps:")[1]
    text = f"{HELD}  - tracker_remove: {{device: a}}{again}"
    result = run_one(text)
    assert result.verdict is Verdict.PASSED, result.reason
    maps = [(row["takes"], row["generation"]) for row in record_of(result)["maps"]]
    assert [takes for takes, _ in maps[:2]] == [1, 1]
    assert len(set(maps)) == len(maps) > 1


def test_a_wrong_image_is_recorded_as_a_picture(run_one: RunOne) -> None:
    result = run_one(HELD, "no copy before write")
    assert result.verdict is Verdict.FAILED
    picture = record_of(result)["disagreements"][0]
    assert picture["where"] == "image of a in s"
    wrong = [part for part in picture["parts"] if part["allowed"]]
    assert "(steps[4].write)" in wrong[0]["found"]
    assert "(steps[0].write)" in wrong[0]["allowed"]
    assert picture["wrong"] == sum(picture["columns"])

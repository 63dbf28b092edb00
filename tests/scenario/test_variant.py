"""Values that there are two of: the run chooses."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.scenario.load import find_scenarios, load_all, parse_scenario
from lab.scenario.mistakes import ScenarioError
from lab.scenario.schema import json_schema

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"
TEXT = """\
summary: a number of rounds and a size that have two values
timeout: {usual: 60, long: 600}
disks:
  a: {size: {usual: 16MiB, long: 1GiB}}
steps:
  - repeat:
      times: {usual: 3, long: 30}
      steps:
        - write: {device: a, size: 1MiB}
"""


@pytest.mark.parametrize(
    ("long", "timeout", "size", "times"), [(False, 60, 16 << 20, 3), (True, 600, 1 << 30, 30)]
)
def test_the_run_chooses(long: bool, timeout: int, size: int, times: int) -> None:
    scenario = parse_scenario(TEXT, "g/s", "s.yaml", long=long)
    assert scenario.timeout == timeout
    assert scenario.disks["a"].size == size
    assert scenario.steps[0].repeat is not None
    assert scenario.steps[0].repeat.times == times
    assert scenario.has_long


def test_a_mistake_in_the_long_value_is_told_with_its_line() -> None:
    text = TEXT.replace("long: 30", "long: no number")
    parse_scenario(text, "g/s", "s.yaml")
    with pytest.raises(ScenarioError) as wrong:
        parse_scenario(text, "g/s", "s.yaml", long=True)
    assert 7 in [one.line for one in wrong.value.mistakes]


def test_one_value_of_two_is_a_mistake() -> None:
    with pytest.raises(ScenarioError):
        parse_scenario(TEXT.replace("usual: 3, ", ""), "g/s", "s.yaml")


def test_every_scenario_is_right_with_its_long_values_too() -> None:
    found = load_all(find_scenarios(SCENARIOS), SCENARIOS, long=True)
    assert any(one.has_long for one in found)


def test_editors_know_that_numbers_and_sizes_may_have_two_values() -> None:
    repeat = json_schema()["$defs"]["Repeat"]["properties"]
    assert {"usual", "long"} == set(repeat["times"]["anyOf"][1]["properties"])
    assert "anyOf" not in repeat["steps"]
    size = json_schema()["$defs"]["Disk"]["properties"]["size"]
    assert size["description"]
    assert any("usual" in one.get("properties", {}) for one in size["anyOf"])

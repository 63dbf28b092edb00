"""Verbs about power cuts and logs: what is told before anything runs."""

from __future__ import annotations

import pytest

from lab.scenario.load import parse_scenario
from lab.scenario.mistakes import ScenarioError
from lab.scenario.scenario import Scenario

HEAD = """
summary: A disk with a log and one without
proves: [K18]
disks:
  a: {size: 1MiB, log: true}
  b: {size: 1MiB}
steps:
"""


def parsed(steps: str) -> Scenario:
    return parse_scenario(HEAD + steps, "x", "x.yaml")


def test_a_boot_ends_all_but_the_disks() -> None:
    again = "  - create: {devices: [a]}\n  - append_storage: {device: b}\n  - take:\n"
    cut = "  - power_cut: {during: {destroy: {compare: false}}, after_ms: [0, 5]}\n  - boot:\n"
    parsed(again + cut + again + "  - power_cut:\n  - boot:\n" + again)
    parsed(again + "  - reboot:\n" + again)
    with pytest.raises(ScenarioError, match="destroyed by now"):
        parsed(again + cut + "  - read_image: {device: a}\n")


@pytest.mark.parametrize(
    "steps",
    [
        "power_cut:",
        "power_cut:\n  - write: {device: a}\n  - boot:",
        "power_cut:\n  - repeat: {times: 2, steps: [{write: {device: a}}, {boot: }]}",
        "repeat: {times: 2, steps: [{power_cut: }]}\n  - boot:",
        "repeat: {times: 1, steps: [{power_cut: }]}\n  - reboot:",
    ],
)
def test_after_a_power_cut_comes_a_boot(steps: str) -> None:
    with pytest.raises(ScenarioError, match=r"power_cut: the machine is off after it; `boot`"):
        parsed(f"  - {steps}\n")


def test_a_log_may_be_judged_before_the_boot() -> None:
    parsed("  - power_cut:\n  - crash_states: {device: a}\n  - boot:\n")
    with pytest.raises(ScenarioError, match="the machine is off"):
        parsed("  - power_cut:\n  - crash_states: {device: a}\n")


def test_the_boot_after_a_power_cut_may_be_within_a_repeat() -> None:
    parsed("  - power_cut:\n  - repeat: {times: 2, steps: [{boot: }, {power_cut: }]}\n  - boot:\n")


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ("check_log: {device: b}", "`b` has no log"),
        ("compare_logs: {device: a, like: b}", "`b` has no log"),
        ("check_journal: {device: b}", "`b` has no log"),
        ("crash_states: {device: c}", "there is no device `c`"),
        ("crash_states: {device: a, limit: 5, least: 6}", "`least` is 6 subsets, `limit` only 5"),
        ("power_cut: {during: {boot: }}", "cannot be cut"),
        ("power_cut: {during: {write: {device: c}}}", "there is no device `c`"),
        ("power_cut: {after_ms: [5, 1]}", "after_ms"),
        ("fsync: {device: c}", "there is no device `c`"),
    ],
)
def test_what_cannot_be_is_told(steps: str, why: str) -> None:
    with pytest.raises(ScenarioError, match=why):
        parsed(f"  - {steps}\n")

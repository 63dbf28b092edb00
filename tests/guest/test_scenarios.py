"""Every scenario of the lab, each in a fresh guest: it must pass, or be skipped for its reason."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lab.runner.engine import RunSettings, run
from lab.runner.verdict import ScenarioResult, Verdict
from lab.scenario.load import find_scenarios, load_all, parse_scenario
from lab.scenario.scenario import Scenario

from .conftest import CHECKOUT, GUESTS, Make

BUILD = 1800.0
"""Seconds in which image, module and template are made, if they are not there yet."""
CHECKS = 600.0
"""Seconds that the automatic checks of a scenario may take."""
LONG = 3600.0
"""Seconds that a thousand rounds may take, where a hundred take a minute."""
ROOT = CHECKOUT / "scenarios"
SCENARIOS = load_all(find_scenarios(ROOT), ROOT)


def explained(result: ScenarioResult) -> str:
    """All that was found, as the terminal shows it."""
    lines = [f"{result.verdict}: {result.reason}", f"results: {result.folder}"]
    for finding in result.findings:
        lines += [f"{finding.verdict} at {finding.where}: {finding.what}", *finding.detail[:60]]
    return "\n".join(lines)


def must_pass(scenario: Scenario, make_template: Make, tmp_path: Path) -> None:
    """Run it; it must pass, or be skipped for its reason."""
    settings = RunSettings(results=tmp_path, jobs=GUESTS)
    results = run([scenario], settings, [], make_template).results
    assert len(results) == 1, "the run was interrupted"
    result = results[0]
    if result.verdict is Verdict.SKIPPED:
        assert result.reason
        pytest.skip(result.reason)
    assert result.verdict is Verdict.PASSED, explained(result)


@pytest.mark.guest
@pytest.mark.parametrize(
    "scenario",
    [
        pytest.param(one, id=one.name, marks=pytest.mark.timeout(BUILD + one.timeout + CHECKS))
        for one in SCENARIOS
    ],
)
def test_scenario(scenario: Scenario, make_template: Make, tmp_path: Path) -> None:
    must_pass(scenario, make_template, tmp_path)


def a_thousand_times(scenario: Scenario) -> Scenario:
    """The same with 1000 rounds where it has 100."""
    data = yaml.safe_load(scenario.source)
    rounds = [step["repeat"] for step in data["steps"] if "repeat" in step]
    longest = next(one for one in rounds if one["times"] == 100)
    longest["times"] = 1000
    data["timeout"] = LONG
    return parse_scenario(yaml.safe_dump(data), scenario.name, scenario.name)


@pytest.mark.guest
@pytest.mark.slow
@pytest.mark.timeout(BUILD + LONG + CHECKS)
@pytest.mark.parametrize("name", ["lifecycle/cycle-1000", "lifecycle/create-destroy-untaken"])
def test_a_thousand_rounds(name: str, make_template: Make, tmp_path: Path) -> None:
    scenario = next(one for one in SCENARIOS if one.name == name)
    must_pass(a_thousand_times(scenario), make_template, tmp_path)

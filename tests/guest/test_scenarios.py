"""Every scenario of the lab, each in a fresh guest: it must pass, or be skipped for its reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.runner.engine import RunSettings, run
from lab.runner.verdict import ScenarioResult, Verdict
from lab.scenario.load import find_scenarios, load_all
from lab.scenario.scenario import Scenario

from .conftest import CHECKOUT, Make

BUILD = 1800.0
"""Seconds in which image, module and template are made, if they are not there yet."""
CHECKS = 600.0
"""Seconds that the automatic checks of a scenario may take."""
ROOT = CHECKOUT / "scenarios"
SCENARIOS = load_all(find_scenarios(ROOT), ROOT)


def explained(result: ScenarioResult) -> str:
    """All that was found, as the terminal shows it."""
    lines = [f"{result.verdict}: {result.reason}", f"results: {result.folder}"]
    for finding in result.findings:
        lines += [f"{finding.verdict} at {finding.where}: {finding.what}", *finding.detail[:60]]
    return "\n".join(lines)


@pytest.mark.guest
@pytest.mark.parametrize(
    "scenario",
    [
        pytest.param(one, id=one.name, marks=pytest.mark.timeout(BUILD + one.timeout + CHECKS))
        for one in SCENARIOS
    ],
)
def test_scenario(scenario: Scenario, make_template: Make, tmp_path: Path) -> None:
    results = run([scenario], RunSettings(results=tmp_path), [], make_template).results
    assert len(results) == 1, "the run was interrupted"
    result = results[0]
    if result.verdict is Verdict.SKIPPED:
        assert result.reason
        pytest.skip(result.reason)
    assert result.verdict is Verdict.PASSED, explained(result)

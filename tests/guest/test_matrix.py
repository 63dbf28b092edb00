"""Another kernel than the default one: the module compiles without a warning, and a few scenarios.

The whole matrix takes hours; it is an environment of its own (tox -e matrix).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.guest.template import Template
from lab.runner.engine import RunSettings, run
from lab.runner.verdict import Verdict
from lab.scenario.load import find_scenarios, load_all

from .conftest import CHECKOUT, GUESTS, Make, tell
from .test_scenarios import BUILD, CHECKS, explained

KERNEL = "6.12"
ROOT = CHECKOUT / "scenarios"
SMOKE = ("overflow/exhausted", "cbt/exact-map", "multi/ordered-writes")

pytestmark = [pytest.mark.guest, pytest.mark.timeout(BUILD + CHECKS + 300)]


@pytest.fixture(scope="module")
def template(make_template: Make) -> Template:
    """Image, module and template of the other kernel."""
    return make_template(tell, KERNEL, None)


def test_the_module_compiles_without_a_warning(template: Template) -> None:
    assert template.identity.kernel_release.startswith(f"{KERNEL}.")
    assert template.module is not None
    assert template.module.facts.warnings == ()


@pytest.mark.parametrize("name", SMOKE)
def test_scenario(name: str, template: Template, make_template: Make, tmp_path: Path) -> None:
    scenarios = [one for one in load_all(find_scenarios(ROOT), ROOT) if one.name == name]
    settings = RunSettings(results=tmp_path, kernels=(KERNEL,), jobs=GUESTS)
    (result,) = run(scenarios, settings, [], make_template).results
    assert result.kernel == KERNEL
    assert result.verdict is Verdict.PASSED, explained(result)

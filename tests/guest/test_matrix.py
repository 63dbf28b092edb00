"""Another kernel than the default one: the module compiles without a warning, and a few scenarios.

The whole matrix takes hours; it is an environment of its own (tox -e matrix).
"""

from __future__ import annotations

import pytest

from lab.pytest_plugin.items import judge
from lab.pytest_plugin.plugin import BUILD
from lab.pytest_plugin.session import Lab
from lab.runner.scenario_run import CHECKS_LIMIT

KERNEL = "6.12"
SMOKE = ("overflow/exhausted", "cbt/exact-map", "multi/ordered-writes")

pytestmark = pytest.mark.timeout(BUILD + CHECKS_LIMIT + 300)


def test_the_module_compiles_without_a_warning(lab: Lab) -> None:
    template = lab.template(kernel=KERNEL)
    assert template.identity.kernel_release.startswith(f"{KERNEL}.")
    assert template.module is not None
    assert template.module.warnings == ()


@pytest.mark.parametrize("name", SMOKE)
def test_scenario(name: str, lab: Lab) -> None:
    result = lab.run(name, kernel=KERNEL)
    assert result.kernel == KERNEL
    judge(result)

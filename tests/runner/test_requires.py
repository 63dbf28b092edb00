"""What a scenario needs of the kernel, told before there is a guest."""

import pytest

from lab.runner.start import SkipScenario, check_kernel
from lab.scenario.load import parse_scenario
from lab.scenario.scenario import Scenario

SCENARIO = """
summary: A write to a disk
requires: {REQUIRED}
disks: {a: {size: 16MiB}}
steps:
  - write: {device: a, size: 4KiB}
"""


def scenario(required: str) -> Scenario:
    return parse_scenario(SCENARIO.replace("REQUIRED", required), "a/b", "b.yaml")


@pytest.mark.parametrize("kernel", ["6.1", "6.1-debug"])
def test_a_kernel_that_is_hooked_has_the_filter_as_a_module(kernel: str) -> None:
    check_kernel(scenario("filter: module"), kernel, "6.1.0")


@pytest.mark.parametrize("kernel", ["6.1-patched", "6.1-patched-debug", "6.1-builtin"])
def test_a_kernel_with_filters_of_its_own_has_not(kernel: str) -> None:
    with pytest.raises(SkipScenario, match="filters built in"):
        check_kernel(scenario("filter: module"), kernel, "6.1.0")
    check_kernel(scenario(""), kernel, "6.1.0")

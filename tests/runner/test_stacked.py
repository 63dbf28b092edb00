"""Devices that go and come back."""

from __future__ import annotations

import pytest

from lab.runner.context import Device
from lab.runner.failures import StepFailed
from lab.runner.verbs.stacked import refuse_another_number


def device(number: tuple[int, int]) -> Device:
    return Device("l", "/dev/loop0", 512, number, "loop")


def test_a_device_that_came_back_with_its_number_is_fine() -> None:
    refuse_another_number(device((7, 0)), device((7, 0)))


@pytest.mark.parametrize("before", [None, device((7, 1))])
def test_another_number_is_refused(before: Device | None) -> None:
    was = "none" if before is None else "7:1"
    with pytest.raises(StepFailed, match=f"l is 7:0 now; before it was {was}"):
        refuse_another_number(before, device((7, 0)))

"""What a repeat says of its rounds."""

from __future__ import annotations

import pytest

from lab.runner.failures import StepFailed
from lab.runner.stepper import slowdown


def test_rounds_that_stay_as_fast_are_right_whatever_some_of_them_take() -> None:
    took = [1.0] * 60 + [9.0, 1.0] * 20
    took[3] = 0.9
    assert slowdown(took, 2.0) == pytest.approx(1.1, abs=0.02)


def test_rounds_that_become_slower_are_not() -> None:
    took = [1.0 + 0.04 * number for number in range(99)]
    assert slowdown(took, 4.0) == pytest.approx(3.6, abs=0.1)
    with pytest.raises(StepFailed, match=r"of the last 33 rounds took 3.6.* of the first 33 1.0"):
        slowdown(took, 3.0)

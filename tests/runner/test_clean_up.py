"""How long the checks at the end wait: long for a module that did well so far, else not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab.image import DEFAULT_KERNEL
from lab.runner.engine import EMULATION, patience
from lab.runner.scenario_run import CHECKS_LIMIT, RED_CHECKS_LIMIT
from lab.runner.verdict import RunResult, Verdict

from .conftest import CYCLE
from .fake_guest import FakeIdentity, FakeTemplate, Misfortune

RunAll = Callable[..., RunResult]
RED = CYCLE + "  - expect_error: {errno: EIO, step: {read: {device: a}}}\n"
EMULATED = FakeIdentity(accel="tcg")


def waits(template: FakeTemplate, op: str) -> list[float]:
    """How long the last guest was given for an operation, in seconds of a guest of its own."""
    (guest,) = template.guests
    stretch = patience(template, 1, DEFAULT_KERNEL)
    assert stretch >= EMULATION
    return [limit / stretch for asked, limit in guest.limits if asked == op]


def test_a_frozen_device_is_not_waited_for_longer_than_a_step_once_something_is_wrong(
    run_all: RunAll,
) -> None:
    stuck = (Misfortune("sync", "stuck"),)
    template = FakeTemplate(identity=EMULATED, misfortunes=stuck)
    result = run_all(RED, template=template).results[0]
    (wait,) = waits(template, "sync")
    assert RED_CHECKS_LIMIT / 2 < wait <= RED_CHECKS_LIMIT
    assert result.verdict is Verdict.FAILED
    assert "expect_error" in result.reason
    assert [one.verdict for one in result.consequences] == [Verdict.HANG]


def test_the_checks_of_a_scenario_that_did_well_have_their_time(run_all: RunAll) -> None:
    template = FakeTemplate(identity=EMULATED)
    assert run_all(CYCLE, template=template).green
    assert all(CHECKS_LIMIT / 2 < wait <= CHECKS_LIMIT for wait in waits(template, "sync"))


def test_a_check_that_is_red_shortens_those_after_it(run_all: RunAll) -> None:
    template = FakeTemplate(frozenset({"image too short"}), identity=EMULATED)
    assert run_all(CYCLE, template=template).results[0].verdict is Verdict.FAILED
    before, after = waits(template, "sync")
    assert before > RED_CHECKS_LIMIT >= after


@pytest.mark.parametrize(("step", "limit"), [(30, 120), (200, 200), (900, 600)])
def test_a_scenario_with_long_steps_may_take_as_long_to_clean_up(
    run_all: RunAll, step: int, limit: int
) -> None:
    template = FakeTemplate(identity=EMULATED)
    run_all(f"{RED}\nstep_timeout: {step}\n", template=template)
    assert all(limit / 2 < wait <= limit for wait in waits(template, "sync"))

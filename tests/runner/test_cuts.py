"""Power cuts during steps: drawn within the time that a step takes, and at least one in time."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from lab.runner.cuts import Cuts
from lab.runner.verbs import power
from lab.runner.verdict import ScenarioResult, Verdict
from lab.scenario.step import PowerCut, Step

RunOne = Callable[..., ScenarioResult]
TAKE: dict[str, Any] = {"take": {}}


def cut_of(step: dict[str, Any], **keys: Any) -> tuple[PowerCut, Step]:
    cut = PowerCut.model_validate({"during": step, "after_ms": [10, 100], **keys})
    assert cut.during is not None
    return cut, cut.during


def test_a_cut_is_drawn_within_the_time_that_the_same_step_took() -> None:
    cuts = Cuts()
    assert cuts.window(*cut_of(TAKE)) == (0.01, 0.1)
    cuts.took(Step.model_validate(TAKE), 0.05)
    cuts.took(Step.model_validate(TAKE), 0.02)
    cuts.took(Step.model_validate(TAKE), 0.03)
    assert cuts.window(*cut_of(TAKE)) == pytest.approx((0.002, 0.014))
    assert cuts.window(*cut_of({"take": {"snapshot": "t"}})) == (0.01, 0.1), "another step"


def test_a_step_that_takes_long_is_cut_when_the_scenario_says() -> None:
    cuts = Cuts()
    cuts.took(Step.model_validate(TAKE), 10.0)
    assert cuts.window(*cut_of(TAKE)) == (0.01, 0.1)


def test_one_cut_of_each_step_must_come_in_time_unless_they_are_only_counted() -> None:
    cuts = Cuts()
    for inside in (False, True):
        cuts.add(*cut_of(TAKE), inside=inside)
    cuts.add(*cut_of(TAKE, seed=2), inside=False)
    cuts.add(*cut_of({"destroy": {}}, inside="counted"), inside=False)
    assert cuts.missed() == ["take was over before its power was cut, each of 1 times"]
    assert cuts.reports() == {
        "power cuts during take": "1 of 3",
        "power cuts during destroy": "0 of 1",
    }


@pytest.mark.parametrize(
    ("asked", "says", "check"),
    [
        ("lab.runner.cuts.Cuts.missed", "take was over before", "power cut in time"),
        ("lab.runner.power.Power.nothing_to_lose", "all was flushed", "power cuts could lose"),
    ],
)
def test_a_scenario_whose_cuts_have_proven_nothing_has_failed(
    run_one: RunOne, monkeypatch: pytest.MonkeyPatch, asked: str, says: str, check: str
) -> None:
    monkeypatch.setattr(asked, lambda _self: [says])
    result = run_one()
    assert result.verdict is Verdict.FAILED
    assert result.reason == f"{check}: {says}"


def test_a_cut_that_came_too_late_tells_how_long_the_step_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: list[float] = []

    def late(_context: object, _work: object, after: float) -> float:
        drawn.append(after)
        return 0.01

    monkeypatch.setattr(power, "_cut_during", late)
    monkeypatch.setattr(power.coverage, "save", lambda _context: None)
    nothing = SimpleNamespace(poll=lambda _guest: None, ledgers={})
    context: Any = SimpleNamespace(
        turn=0, log=nothing, guest=None, cuts=Cuts(), reports={}, loads={}, power=nothing
    )
    cut, _ = cut_of(TAKE)
    for context.turn in range(2):
        assert power.power_cut(context, cut, lambda: None)["during"] is False
    assert 0.01 <= drawn[0] <= 0.1
    assert 0.001 <= drawn[1] <= 0.007
    assert context.reports == {"power cuts during take": "0 of 2"}
    assert len(context.cuts.missed()) == 1

"""The verb that measures knows all that can be measured, and what is too slow."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from lab.bench.figures import Pattern, State
from lab.flavour import Flavour
from lab.runner.failures import StepFailed
from lab.runner.verbs import measure
from lab.scenario.steps_measure import Measure, Measured

PERSISTENT = {"PERSISTENT_FIRST", "PERSISTENT_AGAIN"}
"""Not on disks that move no data."""


def test_every_state_has_a_name_in_scenarios() -> None:
    assert {one.name for one in Measured} == {one.name for one in State} - PERSISTENT


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Rewriting takes 2 us, 1 us without a snapshot."""

    def rounds(bench: Any, count: int) -> Any:
        assert bench.wanted == {State.REWRITE, State.TRACKED}
        times = {State.REWRITE: 2e-6, State.TRACKED: 1e-6}
        return ({(state, p): times[state] for state in times for p in Pattern},) * count

    calls: list[str] = []
    disks = dict.fromkeys(("original", "store", "other"), "/dev/x")
    monkeypatch.setattr(measure, "measure", rounds)
    monkeypatch.setattr(measure, "null_disks", lambda _guest: nullcontext(disks))
    monkeypatch.setattr(measure.module, "unload", lambda _context, _limit: calls.append("unload"))
    monkeypatch.setattr(measure.module, "load", lambda _context, _parameters: calls.append("load"))
    monkeypatch.setattr(measure.BenchGuest, "compile_load", lambda _guest: None)
    guest = SimpleNamespace(module_dir="/modules", channel=None)
    return SimpleNamespace(
        guest=guest, flavour=Flavour(), reports={}, scenario=SimpleNamespace(module={}), calls=calls
    )


def measured(context: Any, **keys: Any) -> Any:
    ratio = {"of": "rewrite", "to": "tracked", **keys}
    return measure.measured(context, Measure.model_validate({"ratios": [ratio], "depth": 4}))


def test_ratios_are_reported(context: Any) -> None:
    told = measured(context)
    assert told == context.reports
    assert set(told.values()) == {0.5}
    assert "held, rewrite / tracked, no snapshot, random 4 KiB, 4 at a time" in told
    assert context.calls == ["unload", "load"]


def test_what_is_too_slow_fails_and_is_reported_all_the_same(context: Any) -> None:
    measured(context, at_least=0.5)
    with pytest.raises(StepFailed, match=r"is 0\.500; at least 0\.6"):
        measured(context, at_least=0.6)
    assert context.reports


def test_what_is_in_the_page_cache_has_no_queue() -> None:
    ratio = {"of": "image_cached", "to": "original_cached"}
    Measure.model_validate({"ratios": [ratio]})
    with pytest.raises(ValidationError, match="are not queued"):
        Measure.model_validate({"ratios": [ratio], "depth": 32})

"""Rates of red runs: the bounds are those of the tables, and nothing red goes uncounted."""

from __future__ import annotations

import pytest

from lab.report.rates import rate_lines, rates, round_line, upper_bound
from lab.runner.verdict import ScenarioResult, Verdict


@pytest.mark.parametrize(
    ("red", "tries", "right"),
    [
        (0, 20, 1 - 0.05 ** (1 / 20)),
        (0, 1, 0.95),
        (0, 2000, 1 - 0.05 ** (1 / 2000)),
        (1, 20, 0.21611),
        (2, 20, 0.28262),
        (5, 100, 0.10225),
        (1000, 2000, 0.51861),
        (20, 20, 1.0),
        (0, 0, 1.0),
    ],
)
def test_bounds_are_those_of_clopper_and_pearson(red: int, tries: int, right: float) -> None:
    assert upper_bound(red, tries) == pytest.approx(right, abs=1e-4)


def test_at_the_bound_so_few_are_seen_once_in_twenty_times() -> None:
    for red, tries in ((0, 7), (3, 50), (40, 45)):
        rate = upper_bound(red, tries)
        chance, term = 0.0, (1 - rate) ** tries
        for number in range(red + 1):
            chance += term
            term *= (tries - number) / (number + 1) * rate / (1 - rate)
        assert chance == pytest.approx(0.05)


@pytest.mark.parametrize("verdict", Verdict)
def test_every_verdict_is_green_red_or_skipped(verdict: Verdict) -> None:
    (rate,) = rates([ScenarioResult("g/s", verdict)])
    assert (rate.green, rate.skipped) == (verdict == "passed", verdict == "skipped")
    assert rate.red == (verdict not in ("passed", "skipped"))


def test_a_scenario_that_was_only_skipped_has_no_rate() -> None:
    lines = list(rate_lines([ScenarioResult("g/s", Verdict.SKIPPED, repeat=n) for n in (1, 2)]))
    assert lines[1].split() == ["g/s", "0", "0", "2", "-"]
    assert len(lines) == 3


def test_skipping_now_and_then_is_told_too() -> None:
    verdicts = [Verdict.PASSED, Verdict.PASSED, Verdict.SKIPPED]
    results = [ScenarioResult("g/s", one, repeat=n) for n, one in enumerate(verdicts, 1)]
    assert "g/s did not always end alike: 2 passed, 1 skipped" in list(rate_lines(results))


def test_whole_rounds_are_counted_and_the_rest_is_told() -> None:
    def done(*runs: tuple[str, int]) -> str:
        results = [ScenarioResult(name, Verdict.PASSED, repeat=n) for name, n in runs]
        return round_line(results, 2, 20)

    assert done() == "rounds: 0 of 20 done"
    assert done(("a", 1), ("b", 1), ("a", 2), ("b", 2)) == "rounds: 2 of 20 done"
    assert done(("a", 1), ("b", 1), ("b", 2)) == "rounds: 1 of 20 done, and 1 of 2 runs of the next"

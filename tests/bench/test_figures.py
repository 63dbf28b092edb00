"""What becomes of measured seconds."""

import pytest
from rich.console import Console

from lab.bench.figures import (
    COMPARISONS,
    IO,
    Comparison,
    Pattern,
    State,
    ratios,
    spread_of,
    times,
)
from lab.bench.report import as_data, ratios_table, times_table

RANDOM = Pattern.RANDOM
TRACKED = Comparison(State.TRACKED, State.BARE, 0.97, (RANDOM,))


def one_round(bare: float, tracked: float) -> dict[tuple[State, Pattern], float]:
    return {(State.BARE, RANDOM): bare, (State.TRACKED, RANDOM): tracked}


def test_median_and_quartiles() -> None:
    found = spread_of([5.0, 1.0, 2.0, 4.0, 3.0])
    assert (found.low, found.median, found.high) == (2.0, 3.0, 4.0)
    assert (found.least, found.greatest, found.count) == (1.0, 5.0, 5)


def test_one_value_has_no_spread() -> None:
    found = spread_of([2.0])
    assert {found.low, found.median, found.high, found.least, found.greatest} == {2.0}


def test_nothing_has_no_median() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        spread_of([])


def test_a_ratio_is_one_of_speeds() -> None:
    (found,) = ratios([one_round(bare=1.0, tracked=2.0)], [TRACKED])
    assert found.spread.median == 0.5
    assert found.reached is False


def test_a_slow_round_does_not_change_the_ratio() -> None:
    rounds = [one_round(1.0, 1.0), one_round(50.0, 50.0), one_round(3.0, 3.0)]
    (found,) = ratios(rounds, [TRACKED])
    assert (found.spread.least, found.spread.greatest) == (1.0, 1.0)
    assert found.reached is True


def test_the_target_itself_is_reached() -> None:
    (found,) = ratios([one_round(0.97, 1.0)], [TRACKED])
    assert found.reached is True


def test_without_a_target_nothing_is_reached_or_missed() -> None:
    (found,) = ratios([one_round(1.0, 1.0)], [Comparison(State.TRACKED, State.BARE)])
    assert found.reached is None


def test_a_round_that_lacks_one_side_does_not_count() -> None:
    rounds = [one_round(1.0, 1.0), {(State.BARE, RANDOM): 9.0}]
    (found,) = ratios(rounds, [TRACKED])
    assert found.spread.count == 1


def test_what_was_not_measured_is_not_told() -> None:
    rounds = [one_round(1.0, 2.0)]
    assert [(one.state, one.spread.median) for one in times(rounds)] == [
        (State.BARE, 1.0),
        (State.TRACKED, 2.0),
    ]
    assert {one.comparison.of for one in ratios(rounds)} == {State.TRACKED}


def test_every_state_is_compared() -> None:
    assert {side for one in COMPARISONS for side in (one.of, one.to)} == set(State)


def test_tables_and_data_tell_the_same() -> None:
    rounds = [one_round(1.0, 2.0), one_round(1.0, 4.0)]
    console = Console(width=200, record=True)
    console.print(times_table(times(rounds)))
    console.print(ratios_table(ratios(rounds)))
    shown = console.export_text()
    assert "0.375" in shown
    assert "missed" in shown
    data = as_data(rounds, {"depth": 1})
    assert data["ratios"][0]["median"] == 0.375
    assert data["ratios"][0]["reached"] is False
    assert len(data["rounds"]) == 2
    assert data["rounds"][0][0]["io"] in IO

"""Which scenarios a run is about."""

import pytest

from lab.errors import UsageError
from lab.runner.selection import Selection, select
from lab.scenario.load import parse_scenario
from lab.scenario.scenario import Scenario

TEXT = """
summary: Something that is done
proves: [{0}]
regression_for: [{1}]
disks: {{a: {{size: 1MiB}}}}
steps: [{{read: {{device: a}}}}]
"""


def scenario(name: str, proves: str, trap: str) -> Scenario:
    return parse_scenario(TEXT.format(proves, trap), name, f"scenarios/{name}.yaml")


ALL = [
    scenario("overflow/exhausted", "K18", "W-13"),
    scenario("cbt/exact-map", "K10", "W-05"),
    scenario("cbt/generation-wrap", "K10", "W-05"),
    scenario("overflow/burst", "K19", "W-25"),
]


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        (Selection(), "cbt/exact-map cbt/generation-wrap overflow/burst overflow/exhausted"),
        (Selection(names=("cbt/*",)), "cbt/exact-map cbt/generation-wrap"),
        (Selection(names=("cbt",)), "cbt/exact-map cbt/generation-wrap"),
        (Selection(names=("*wrap*", "burst")), "cbt/generation-wrap overflow/burst"),
        (Selection(names=("overflow/",)), "overflow/burst overflow/exhausted"),
        (Selection(groups=("overflow",)), "overflow/burst overflow/exhausted"),
        (Selection(proves=("k18", "W-25")), "overflow/burst overflow/exhausted"),
        (Selection(groups=("cbt",), names=("*exact*",)), "cbt/exact-map"),
    ],
)
def test_selectors_choose_in_the_order_of_names(selection: Selection, names: str) -> None:
    assert [one.name for one in select(ALL, selection)] == names.split()


@pytest.mark.parametrize(
    "selection",
    [
        Selection(names=("cbt/*", "overflw/*")),
        Selection(names=("typo/cbt",)),
        Selection(names=("typo/cbt/exact-map",)),
        Selection(groups=("nosuch",)),
        Selection(proves=("K1",)),
        Selection(names=("burst",), groups=("cbt",)),
    ],
)
def test_a_selector_that_fits_nothing_is_refused(selection: Selection) -> None:
    with pytest.raises(UsageError, match="no scenario fits"):
        select(ALL, selection)


@pytest.mark.parametrize(
    ("selection", "lists"),
    [
        (Selection(names=("nosuch",)), "`blksnap-lab list`"),
        (Selection(proves=("K99",)), "`blksnap-lab list --proves`"),
        (
            Selection(groups=("nosuch",), proves=("K99",)),
            "`blksnap-lab list` and `blksnap-lab list --proves`",
        ),
    ],
)
def test_who_is_refused_is_told_where_to_look(selection: Selection, lists: str) -> None:
    with pytest.raises(UsageError) as caught:
        select(ALL, selection)
    assert caught.value.remedy == f"see {lists} for what there is"

"""Every rule of the contract has something that proves it, and the table says what."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from lab.cli.main import app
from lab.cli.options import SCENARIOS, load_folder
from lab.cli.proofs import proofs
from lab.contract import contract
from lab.errors import UsageError
from lab.scenario.load import parse_scenario
from lab.scenario.mistakes import ScenarioError

RULES = [f"K{number}" for number in range(1, 38)]
SCENARIO = """
summary: A scenario for a test
{key}: [{rule}]
steps:
  - check_snapshots: {{snapshots: []}}
"""


def listed(*words: str) -> str:
    done = CliRunner().invoke(app, ["list", *words])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_every_rule_is_proven_and_every_trap_guarded_against() -> None:
    table = proofs(load_folder(SCENARIOS))
    assert [*table] == [*contract()]
    assert [rule for rule, found in table.items() if not found] == []


@pytest.mark.parametrize(
    ("key", "right", "wrong"),
    [
        ("proves", ["K1", "K9", "K37"], ["K0", "K38", "K01", "W-01", "k1"]),
        ("regression_for", ["W-01", "W-41", "blksnap#46"], ["W-00", "W-42", "W-1", "K1"]),
    ],
)
def test_a_scenario_names_rules_and_traps_that_there_are(
    key: str, right: list[str], wrong: list[str]
) -> None:
    for rule in right:
        parse_scenario(SCENARIO.format(key=key, rule=rule), "g/s", "s.yaml")
    for rule in wrong:
        with pytest.raises(ScenarioError):
            parse_scenario(SCENARIO.format(key=key, rule=rule), "g/s", "s.yaml")


def test_the_contract_says_what_every_rule_and_trap_is() -> None:
    traps = [f"W-{number:02}" for number in range(1, 42)]
    assert [*contract()] == [*RULES, *traps]
    assert [one for one, text in contract().items() if len(text) < 20] == []


def test_the_table_says_of_every_rule_what_it_promises_and_what_proves_it() -> None:
    lines = listed("--proves").splitlines()
    assert lines[::2] == [f"{rule:<4} {text}" for rule, text in contract().items()]
    k18 = lines.index(f"K18  {contract()['K18']}")
    assert "overflow/exhausted" in lines[k18 + 1]
    table = json.loads(listed("--proves", "--json"))
    assert table["K5"][0] == "abi/compat32"
    wrap = {one.name for one in load_folder(SCENARIOS) if "W-05" in one.regression_for}
    assert set(table["W-05"]) == wrap != set()


def test_rules_select_scenarios_or_lines_of_the_table() -> None:
    assert "overflow/exhausted" in listed("--rule", "K18")
    assert "abi/privilege" not in listed("--rule", "K18")
    some = listed("--proves", "-r", "K4", "-r", "k6", "-r", "w-05").splitlines()
    assert [line.split()[0] for line in some[::2]] == ["K4", "K6", "W-05"]
    with pytest.raises(UsageError, match="no rule is called K99"):
        CliRunner().invoke(app, ["list", "--proves", "--rule", "K99"], catch_exceptions=False)


def test_proves_is_the_table_and_rule_the_filter_of_every_command() -> None:
    done = CliRunner().invoke(app, ["run", "--proves", "K99"])
    assert done.exit_code == 2
    assert "No such option" in done.output

"""Every rule of the contract has something that proves it, and the table says what."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab.cli.catalogue import proof_table
from lab.cli.main import app
from lab.cli.options import SCENARIOS, load_folder
from lab.cli.proofs import RULES, MarkedTest, marked_tests
from lab.errors import UsageError
from lab.scenario.load import parse_scenario
from lab.scenario.mistakes import ScenarioError

MARKED = """
import pytest

@pytest.mark.proves("K5", "K6")
def test_one() -> None: ...

@pytest.mark.parametrize("bits", [64, pytest.param(32, marks=pytest.mark.proves("K4"))])
def test_two(bits: int) -> None: ...

GROUPS = [pytest.param("counts", marks=[pytest.mark.proves("K25"), pytest.mark.slow])]

def test_three() -> None: ...
"""
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


def test_every_rule_is_proven() -> None:
    table = proof_table(load_folder(SCENARIOS))
    assert tuple(table) == RULES
    assert [rule for rule, found in table.items() if not found.all] == []


def test_markers_are_read_from_tests_and_from_their_parameters(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text(MARKED)
    assert set(marked_tests(tmp_path)) == {
        MarkedTest("test_x.py::test_one", ("K5", "K6")),
        MarkedTest("test_x.py[32]", ("K4",)),
        MarkedTest("test_x.py[counts]", ("K25",)),
    }
    assert marked_tests(tmp_path / "nowhere") == ()


@pytest.mark.parametrize("wrong", ['"K38"', '"K0"', '"W-01"', "*RULES", "RULE", "7"])
def test_a_marker_that_names_no_rule_is_refused(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "test_x.py").write_text(MARKED.replace('"K5"', wrong))
    with pytest.raises(UsageError, match="is no rule of the contract"):
        marked_tests(tmp_path)


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


def test_the_table_has_a_line_for_every_rule() -> None:
    lines = listed("--proves").splitlines()
    assert [line.split()[0] for line in lines] == list(RULES)
    k18 = next(line for line in lines if line.startswith("K18 "))
    assert "overflow/exhausted" in k18
    assert json.loads(listed("--proves", "--json"))["K5"]["tests"] == ["test_abi.py[counts]"]


def test_rules_select_scenarios_or_lines_of_the_table() -> None:
    assert "overflow/exhausted" in listed("--rule", "K18")
    assert "abi/privilege" not in listed("--rule", "K18")
    assert [
        line.split()[0] for line in listed("--proves", "-r", "K4", "-r", "k6").splitlines()
    ] == [
        "K4",
        "K6",
    ]
    with pytest.raises(UsageError, match="no rule is called K99"):
        CliRunner().invoke(app, ["list", "--proves", "--rule", "K99"], catch_exceptions=False)

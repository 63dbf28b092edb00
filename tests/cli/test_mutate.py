"""`mutate` as far as it needs no guest: the list, and what it refuses."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from lab.cli.main import app
from lab.cli.options import MODULE
from lab.errors import UsageError
from lab.mutate.mutants import LIST, load_mutants

MUTANTS = load_mutants(MODULE / LIST)


def run(*words: str) -> str:
    done = CliRunner().invoke(app, ["mutate", *words], catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_the_list_has_all_of_them() -> None:
    text = run("--list")
    for one in MUTANTS:
        assert f"\n{one.id} " in f"\n{text}"
        assert one.breaks in text
        assert one.survives in text


def test_the_list_is_there_for_machines() -> None:
    listed = json.loads(run("--list", "--json", "ctrl.c", "map-number-stays"))
    assert [one["id"] for one in listed] == [
        one.id for one in MUTANTS if one.file == "ctrl.c" or one.id == "map-number-stays"
    ]
    assert all(one["scenarios"] for one in listed)


def test_an_unknown_one_is_refused() -> None:
    with pytest.raises(UsageError, match="no-such-mutant"):
        run("--list", "no-such-mutant")


def test_an_unknown_kernel_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no kernel '6.1-nothing'"):
        run("map-number-stays", "--kernel", "6.1-nothing")


def test_a_kernel_with_the_module_built_in_is_refused() -> None:
    with pytest.raises(UsageError, match="has the module built in"):
        run("map-number-stays", "--kernel", "6.1-builtin")

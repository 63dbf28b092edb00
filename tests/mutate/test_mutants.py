"""The list of mutants of this checkout: it fits sources and scenarios, and misses no file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab.errors import UsageError
from lab.mutate.mutants import LIST, Mutant, choose, load_mutants, make_tree
from lab.scenario.load import find_scenarios, load_all

CHECKOUT = Path(__file__).resolve().parents[2]
MODULE = CHECKOUT / "guest_module"
SCENARIOS = CHECKOUT / "scenarios"
MUTANTS = load_mutants(MODULE / LIST)


def a_mutant(**changes: object) -> Mutant:
    fields = {
        "id": "one",
        "file": "a.c",
        "was": "x = 1;",
        "now": "x = 2;",
        "breaks": "what x is for",
        "scenarios": ["cbt/exact-map"],
    }
    return Mutant.model_validate({**fields, **changes})


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "module"
    folder.mkdir()
    (folder / "Makefile").write_text("obj-m := a.o\n")
    (folder / "a.c").write_text("int x;\nx = 1;\n")
    (folder / "b.c").write_text("x = 1;\n")
    return folder


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda one: one.id)
def test_each_changes_the_sources_in_one_place(mutant: Mutant, tmp_path: Path) -> None:
    tree = make_tree(MODULE, tmp_path / "tree", mutant)
    file = tree / mutant.file
    assert file.read_text() == (MODULE / mutant.file).read_text().replace(mutant.was, mutant.now)
    assert file.read_text() != (MODULE / mutant.file).read_text()


def test_the_pages_that_tell_the_score_count_all() -> None:
    page = (CHECKOUT / "docs/mutants.md").read_text(encoding="utf-8")
    found = re.search(
        r"There are (\d+) mutants\. .* (\d+) were killed and (\d+) are explained", page
    )
    assert found is not None
    total, killed, explained = map(int, found.groups())
    assert total == killed + explained == len(MUTANTS)
    assert explained == sum(bool(one.survives) for one in MUTANTS)
    said = f"of {total} ways to break the module the scenarios notice {killed},"
    assert said in (CHECKOUT / "README.md").read_text(encoding="utf-8")


def test_every_file_of_the_module_has_one() -> None:
    """Of headers those that are code: the arithmetic, and what differs between kernels.

    See docs/mutants.md for what is left out.
    """
    patterns = ("*.c", "*_core.h", "compat*.h")
    files = {path.name for pattern in patterns for path in MODULE.glob(pattern)}
    assert {"chunk_core.h", "compat_bdev.h", "main.c"} < files
    assert files <= {one.file for one in MUTANTS}


def test_there_are_enough_of_them() -> None:
    assert len(MUTANTS) >= 40


def test_scenarios_and_rules_are_there() -> None:
    names = {
        path.relative_to(SCENARIOS).with_suffix("").as_posix() for path in find_scenarios(SCENARIOS)
    }
    for one in MUTANTS:
        assert set(one.scenarios) <= names, one.id
        assert one.rules, one.id
        assert all(re.fullmatch(r"K([1-9]|[12]\d|3[0-7])|W-\d\d", rule) for rule in one.rules)


def test_every_rule_of_the_contract_is_broken_by_one() -> None:
    """Whichever scenario is red with it broken, it says of itself that it proves the rule."""
    proves = {one.name: set(one.proves) for one in load_all(find_scenarios(SCENARIOS), SCENARIOS)}
    seen_red = {
        rule
        for one in MUTANTS
        if not one.survives
        for rule in one.rules
        if all(rule in proves[name] for name in one.scenarios)
    }
    assert {f"K{number}" for number in range(1, 38)} - seen_red == set()


def test_the_text_must_be_there_exactly_once(source: Path, tmp_path: Path) -> None:
    (source / "a.c").write_text("x = 1; x = 1;\n")
    with pytest.raises(UsageError, match="2 times"):
        make_tree(source, tmp_path / "two", a_mutant())
    with pytest.raises(UsageError, match="0 times"):
        make_tree(source, tmp_path / "none", a_mutant(file="c.c"))


def test_only_the_mutants_file_is_changed(source: Path, tmp_path: Path) -> None:
    tree = make_tree(source, tmp_path / "tree", a_mutant())
    assert (tree / "a.c").read_text() == "int x;\nx = 2;\n"
    assert (tree / "b.c").read_text() == "x = 1;\n"
    as_it_is = make_tree(source, tmp_path / "none", None)
    assert (as_it_is / "a.c").read_text() == "int x;\nx = 1;\n"


def test_what_is_wrong_with_a_list_is_said(tmp_path: Path) -> None:
    path = tmp_path / "mutants.yaml"
    for text, why in (
        ("- {id: a, file: a.c}", "was"),
        ("- {id: A B, file: a.c, was: x, now: y, breaks: something, scenarios: [a/b]}", "id"),
        ("[", "list of mutants"),
    ):
        path.write_text(text)
        with pytest.raises(UsageError, match=why):
            load_mutants(path)
    one = "- {id: a, file: a.c, was: x, now: y, breaks: something or other, scenarios: [a/b]}\n"
    path.write_text(one + one)
    with pytest.raises(UsageError, match="several mutants with the id a"):
        load_mutants(path)
    with pytest.raises(UsageError, match="cannot be read"):
        load_mutants(tmp_path / "nowhere.yaml")


def test_mutants_are_chosen_by_id_and_by_file() -> None:
    some = (a_mutant(), a_mutant(id="two"), a_mutant(id="three", file="b.c"))
    assert choose(some, ()) == some
    assert choose(some, ("two", "b.c")) == some[1:]
    with pytest.raises(UsageError, match="four"):
        choose(some, ("two", "four"))

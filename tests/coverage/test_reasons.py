"""Reasons for what no scenario reaches; an entry that does not fit is told."""

from pathlib import Path

import pytest

from lab.coverage.lines import Reached
from lab.coverage.reasons import Entry, judge, load_reasons
from lab.data import data_folder
from lab.errors import UsageError

SOURCES = {
    "a.c": "int f(void)\n{\n\tif (x)\n\t\treturn 1;\n\tWARN_ON(y);\n\treturn 0;\n}\n",
    "b.c": "\tWARN_ON(z);\n\treturn 0;\n",
}
REACHED = Reached(
    {("a.c", 3): 1, ("a.c", 4): 0, ("a.c", 5): 1, ("a.c", 6): 1, ("b.c", 1): 1, ("b.c", 2): 1},
    {("a.c", 3): (0, 1), ("a.c", 5): (0, 1), ("b.c", 1): (0, 1)},
)
BRANCH = Entry(file="a.c", code="if (x)\n  return 1;", reason="x is never true here")
WARN = Entry(file="*", pattern=r"\bWARN_ON\(", reason="only a mistake of ours does that")


def test_what_has_no_reason_is_told() -> None:
    judged = judge(REACHED, SOURCES, ())
    assert judged.lines == (("a.c", 4),)
    assert judged.branches == (("a.c", 3), ("a.c", 5), ("b.c", 1))
    assert not judged.good


def test_code_explains_its_lines_and_their_branches() -> None:
    judged = judge(REACHED, SOURCES, (BRANCH,))
    assert judged.lines == ()
    assert judged.branches == (("a.c", 5), ("b.c", 1))
    assert judged.explained == {("a.c", 3): BRANCH.reason, ("a.c", 4): BRANCH.reason}


def test_a_pattern_explains_lines_anywhere() -> None:
    assert judge(REACHED, SOURCES, (BRANCH, WARN)).good


def test_a_reason_for_branches_explains_no_line() -> None:
    calls = Entry(file="*", pattern="return|WARN", only="branches", reason="it never fails here")
    judged = judge(REACHED, SOURCES, (calls,))
    assert judged.lines == (("a.c", 4),)
    assert set(judged.explained) == {("a.c", 5), ("b.c", 1)}
    assert not judged.wrong


def test_what_depends_on_a_moment_may_be_reached_but_must_be_there() -> None:
    moment = Entry(file="b.c", code="return 0;", sometimes=True, reason="now and then only")
    assert judge(REACHED, SOURCES, (BRANCH, WARN, moment)).good
    gone = Entry(file="b.c", code="return 2;", sometimes=True, reason="now and then only")
    assert not judge(REACHED, SOURCES, (BRANCH, WARN, gone)).good


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (Entry(file="a.c", code="return 2;", reason="was there once"), "there is no such code"),
        (Entry(file="c.c", pattern="x", reason="was there once"), "there is no such code"),
        (Entry(file="b.c", code="return 0;", reason="was not reached"), "all of it is reached"),
        (
            Entry(file="a.c", code="return 1;", only="branches", reason="not the line"),
            "all of its branches is reached",
        ),
        (Entry(file="*", code="return 0;", reason="which of the two?"), "there 2 times"),
        (Entry(file="a.c", code=("if (x)", "return 0;"), reason="one of them"), "is reached"),
    ],
)
def test_an_entry_that_does_not_fit_is_an_error(entry: Entry, why: str) -> None:
    judged = judge(REACHED, SOURCES, (BRANCH, WARN, entry))
    assert not judged.good
    assert [why in one for one in judged.wrong] == [True]


@pytest.mark.parametrize(
    "text",
    [
        "- {file: a.c, reason: nothing is named}",
        "- {file: a.c, code: x, pattern: x, reason: both are named}",
        "- {file: a.c, pattern: '(', reason: no regular expression}",
        "- {file: a.c, code: x, reason: short}",
        "- {file: a.c, code: x, only: lines, reason: no such kind}",
        "- {file: a.c, code: [x, ' '], reason: one piece is empty}",
        "- {file: a.c, code: x, why: an unknown key, reason: long enough}",
        "not a list",
    ],
)
def test_a_list_that_makes_no_sense_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "unreached.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"unreached\.yaml"):
        load_reasons(path)


def test_a_module_may_have_no_list(tmp_path: Path) -> None:
    assert load_reasons(tmp_path / "unreached.yaml") == ()


def test_the_code_of_every_reason_is_in_the_module() -> None:
    module = data_folder("guest_module")
    sources = {path.name: path.read_text() for path in module.glob("*.[ch]")}
    for entry in load_reasons(module / "test/unreached.yaml"):
        assert all(entry.places(sources).values()), entry

"""The page, and what lcov's tools read."""

from dataclasses import replace
from pathlib import Path

import html5lib
import pytest
from report.results import unpacked

from lab.coverage.lcov import lcov
from lab.coverage.lines import Function, Reached
from lab.coverage.page import page
from lab.coverage.reasons import judge
from lab.coverage.stored import RunCoverage, joined
from lab.errors import UsageError

SOURCES = {"a.c": "int f(void)\n{\n\tif (x)\n\t\treturn 1 < 2;\n\treturn 0;\n}\n"}


def reached(*counts: int, branches: tuple[int, ...]) -> Reached:
    lines = dict(zip((("a.c", 1), ("a.c", 3), ("a.c", 4), ("a.c", 5)), counts, strict=True))
    functions = {("a.c", "f"): Function("a.c", "f", 1, counts[0])}
    return Reached(lines, {("a.c", 3): branches}, functions)


@pytest.fixture
def coverage() -> RunCoverage:
    scenarios = {
        "g/first": reached(2, 2, 0, 2, branches=(0, 2)),
        "g/second": reached(0, 0, 0, 0, branches=(0, 0)),
        "g/third": reached(1, 1, 0, 1, branches=(0, 1)),
    }
    nothing = reached(0, 0, 0, 0, branches=(0, 0))
    return RunCoverage("6.1", nothing, scenarios, ("g/skipped",), SOURCES)


def test_who_reaches_a_line_is_known(coverage: RunCoverage) -> None:
    assert coverage.who(("a.c", 3)) == ["g/first", "g/third"]
    assert coverage.who(("a.c", 4)) == []
    assert coverage.total.lines["a.c", 3] == 3


def test_runs_of_the_same_sources_can_be_joined(coverage: RunCoverage) -> None:
    more = {"g/skipped": reached(1, 1, 1, 0, branches=(1, 0)), "g/third": coverage.compiled}
    other = replace(coverage, scenarios=more, without=("g/never",))
    both = joined([coverage, other])
    assert list(both.scenarios) == ["g/first", "g/second", "g/third", "g/skipped"]
    assert both.without == ("g/never",)
    assert both.total.lines == {("a.c", 1): 4, ("a.c", 3): 4, ("a.c", 4): 1, ("a.c", 5): 3}
    with pytest.raises(UsageError):
        joined([coverage, replace(coverage, sources={"a.c": "other"})])


def test_the_tracefile_has_all_records(coverage: RunCoverage) -> None:
    text = lcov(coverage.total, Path("/src"))
    assert text.splitlines() == [
        "TN:",
        "SF:/src/a.c",
        "FN:1,f",
        "FNDA:3,f",
        "FNF:1",
        "FNH:1",
        "BRDA:3,0,0,0",
        "BRDA:3,0,1,3",
        "BRF:2",
        "BRH:1",
        "DA:1,3",
        "DA:3,3",
        "DA:4,0",
        "DA:5,3",
        "LF:4",
        "LH:3",
        "end_of_record",
    ]


def test_the_page_is_well_formed_and_names_what_is_missed(coverage: RunCoverage) -> None:
    text = page(coverage, judge(coverage.total, SOURCES, ()), "a run")
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    document = parser.parse(text)
    assert "75.0 % of lines, 50.0 % of branches" in text
    assert "g/skipped" in text
    (holder,) = document.iterfind(".//details[@id='f-a.c']/script")
    part = parser.parseFragment(unpacked(holder.text or ""), container="div")
    rows = part.findall(".//tbody/tr")
    assert [row.get("class") for row in rows] == [
        "reached", None, "half", "missed", "reached", None,
    ]  # fmt: skip
    (button,) = rows[2].findall(".//button")
    assert button.get("data-who") == "5"  # the first and the third
    assert rows[3].find(".//code").text.endswith("return 1 < 2;")  # type: ignore[union-attr]

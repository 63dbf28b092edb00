"""`coverage`: what it tells, and its exit status."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from lab.cli import coverage
from lab.cli.main import app
from lab.cli.manual import EXAMPLES
from lab.cli.options import MODULE
from lab.coverage.lines import Reached
from lab.coverage.stored import RunCoverage, read_coverage
from lab.errors import UsageError
from lab.runner.coverage import notes_name

PAGE = Path(__file__).parents[2] / "docs/coverage.md"
BEFORE = "int f(void)\n{\n\tif (x)\n\t\treturn 1;\n\treturn 0;\n}\n"
AFTER = BEFORE.replace("\tif (x)", "\tg();\n\tif (x)")
REASON = "- {file: a.c, code: return 1;, reason: x is never true here}\n"
BRANCH = "- {file: a.c, code: return 1;, only: branches, reason: x is never true here}\n"
Command = Callable[..., Result]


def reached(g: int, first: int, last: int) -> Reached:
    """Counts of a run: of g(), of `return 1` and of `return 0`."""
    lines = {("a.c", 3): g, ("a.c", 4): first + last, ("a.c", 5): first, ("a.c", 6): last}
    return Reached(lines, {("a.c", 4): (first, last)})


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A module with a call that its last commit does not have."""
    folder = tmp_path / "module"
    (folder / "test").mkdir(parents=True)
    git = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@t"]
    (folder / "a.c").write_text(BEFORE)
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *words], check=True)
    (folder / "a.c").write_text(AFTER)
    return folder


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, module: Path, tmp_path: Path) -> Command:
    """The command, for a run of two scenarios; arguments: its words, and how often g() was met."""

    def run(*words: str, g: int = 2) -> Result:
        scenarios = {"g/one": reached(g, 0, 2), "g/two": reached(0, 0, 1)}
        found = RunCoverage("6.1", reached(0, 0, 0), scenarios, (), {"a.c": AFTER})
        stored = SimpleNamespace(folder=tmp_path)
        monkeypatch.setattr(coverage, "read_run", lambda _: stored)
        monkeypatch.setattr(coverage, "read_coverage", lambda *_: found)
        return CliRunner().invoke(app, ["coverage", "--module", str(module), *words])

    return run


def test_who_reaches_a_line_is_told(command: Command) -> None:
    told = command("--line", "a.c:6")
    assert told.exit_code == 0
    assert [line.split() for line in told.stdout.splitlines()] == [
        ["2", "g/one"],
        ["1", "g/two"],
        ["2", "of", "2", "scenarios", "reach", "a.c:6"],
    ]
    assert "1 of 2 scenarios reach a.c:3" in command("--line", "a.c:3").stdout
    assert command("--line", "a.c:5").stdout == "0 of 2 scenarios reach a.c:5\n"


@pytest.mark.parametrize(
    ("place", "example"), [("a.c:1", "a.c:3"), ("a.c:9", "a.c:6"), ("b.c:5", "a.c:4")]
)
def test_for_what_is_no_line_with_code_one_that_is_reached_is_told(
    command: Command, place: str, example: str
) -> None:
    told = command("--line", place)
    assert isinstance(told.exception, UsageError)
    assert told.exception.what == f"{place} is no line with code"
    assert told.exception.remedy == f"e.g. --line {example}"
    assert command("--line", example).exit_code == 0


@pytest.mark.parametrize("place", ["a.c", "a.c:x"])
def test_what_is_no_line_at_all_is_refused_before_anything_is_read(place: str) -> None:
    told = CliRunner().invoke(app, ["coverage", "nosuch", "--line", place])
    assert isinstance(told.exception, UsageError)
    assert told.exception.what == f"--line {place}: it is no FILE:LINE"


@pytest.mark.parametrize("text", [EXAMPLES["coverage"], PAGE.read_text(encoding="utf-8")])
def test_the_line_of_the_examples_is_one_with_code(text: str) -> None:
    (place,) = re.findall(r"--line (\S+)", text)
    name, _, number = place.partition(":")
    line = (MODULE / name).read_text(encoding="utf-8").splitlines()[int(number) - 1]
    assert re.fullmatch(r"\t+\w.*\(.*\);", line), f"{place} is {line!r}, no call; name one"


def test_a_patch_that_is_reached_is_good(command: Command) -> None:
    told = command("--diff", "HEAD")
    assert told.exit_code == 0
    assert told.stdout == "1 of 1 lines with code that are not in HEAD are reached\n"


def test_a_line_of_a_patch_that_nothing_reaches_fails(command: Command, module: Path) -> None:
    told = command("--diff", "HEAD", g=0)
    assert told.exit_code == 1
    assert "a.c:3: never: g();\n0 of 1 lines" in told.stdout
    reason = REASON.replace("return 1;", "g();")
    (module / "test/unreached.yaml").write_text(reason)
    told = command("--diff", "HEAD", g=0)
    assert told.exit_code == 0
    assert "a.c:3: never: g();   (x is never true here)" in told.stdout
    (module / "test/unreached.yaml").write_text(reason.replace("g();", "g();, only: branches"))
    assert command("--diff", "HEAD", g=0).exit_code == 1


def test_strict_asks_for_reasons_and_shares(
    command: Command, module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command().exit_code == 0
    told = command("--strict")
    assert told.exit_code == 1
    assert "only 75.0 % of all lines are reached" in told.stdout
    monkeypatch.setattr("lab.coverage.lines.LINES_WANTED", 50.0)
    monkeypatch.setattr("lab.coverage.lines.BRANCHES_WANTED", 50.0)
    assert command("--strict").exit_code == 1
    (module / "test/unreached.yaml").write_text(REASON)
    assert command("--strict").exit_code == 0
    (module / "test/unreached.yaml").write_text(BRANCH)
    told = command("--strict")
    assert told.exit_code == 1
    assert "all of its branches is reached" in told.stdout


def test_a_kernel_that_the_run_has_nothing_of_is_told_with_those_that_it_has(
    tmp_path: Path,
) -> None:
    run: Any = SimpleNamespace(folder=tmp_path, kernels=("6.1", "6.12", "7.x"))
    for has, remedy in (
        ((), "`blksnap-lab run --coverage`"),
        (("6.1", "7.x"), "it has that of: 6.1, 7.x"),
    ):
        for name in has:
            (tmp_path / notes_name(name)).touch()
        with pytest.raises(UsageError, match="no coverage of kernel '9'") as caught:
            read_coverage(run, "9")
        assert caught.value.remedy == remedy

"""The help of every command: examples that work, and a word about each option."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
import typer
from typer.testing import CliRunner

from lab.cli import manual
from lab.cli.main import app

ROOT = typer.main.get_command(app)


def commands(
    group: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


COMMANDS = dict(commands(ROOT))


def test_the_examples_are_of_commands_that_there_are() -> None:
    assert set(manual.EXAMPLES) == set(COMMANDS), "each command has examples in lab/cli/manual.py"
    assert set(manual.SUMMARIES) <= set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_tells_what_it_does_all_options_examples_and_exit_status(name: str) -> None:
    result = CliRunner().invoke(app, [*name.split(), "--help"], env={"COLUMNS": "100"})
    assert result.exit_code == 0
    for word in ("Usage:", "Examples:", "Exit status:"):
        assert word in result.output
    assert COMMANDS[name].help
    for parameter in COMMANDS[name].params:
        assert getattr(parameter, "help", None), f"{parameter.name} has no help"


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_the_help_says_what_is_typed_and_nothing_of_python(name: str) -> None:
    command = [sys.executable, "-m", "lab", *name.split(), "--help"]
    told = subprocess.check_output(command, text=True, timeout=60)
    assert told.startswith(f"Usage: blksnap-lab {name}".rstrip() + " [OPTIONS]")
    for foreign in ("[[", "]...]", "list[", "range>", "<str>", "<path>", "[default: (", "python"):
        assert foreign not in told.replace("`python3 -m lab.blksnap", "")
    assert max(map(len, told.splitlines())) <= 90


@pytest.mark.parametrize("name", COMMANDS)
def test_exit_statuses_are_told_once_and_in_full_by_what_runs_scenarios(name: str) -> None:
    told = CliRunner().invoke(app, [*name.split(), "--help"]).output.casefold()
    assert told.count("exit status") == 1
    assert ("130  interrupted" in told) == (name in ("run", "mutate"))


@pytest.mark.parametrize(
    "line", [line.strip() for text in manual.EXAMPLES.values() for line in text.splitlines()]
)
def test_the_examples_can_be_given_as_they_stand(line: str) -> None:
    program, *words = shlex.split(line.partition(" > ")[0])
    assert program == "blksnap-lab"
    command, context = ROOT, click.Context(ROOT)
    while hasattr(command, "resolve_command"):
        _, inner, words = command.resolve_command(context, words)
        command, context = inner, click.Context(inner, parent=context)
    command.make_context(str(command.name), words)


def test_an_option_that_is_not_there_is_seen() -> None:
    with pytest.raises(Exception, match="No such option"):
        test_the_examples_can_be_given_as_they_stand("blksnap-lab run --no-such-option")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_can_be_had_for_every_shell(shell: str) -> None:
    told = completed({"_BLKSNAP_LAB_COMPLETE": f"source_{shell}"})
    assert "_BLKSNAP_LAB_COMPLETE" in told


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("run overf", {"overflow"}),
        ("run overflow/exh", {"overflow/exhausted"}),
        ("list --rule W-0", {f"W-0{n}" for n in range(1, 10)}),
        ("list --rule K3", {"K3", *(f"K3{n}" for n in range(8))}),
        ("run --rule K3", {"K3", *(f"K3{n}" for n in range(8))}),
        ("build --kernel 5", {"5.10"}),
        ("build --kernel 6.12-k", {"6.12-kcsan"}),
        ("shell --kernel a", set()),
        ("run --kernel a", {"all"}),
        ("sta", {"static"}),
    ],
)
def test_names_are_completed(words: str, wanted: set[str]) -> None:
    line = f"blksnap-lab {words}"
    told = completed(
        {
            "_BLKSNAP_LAB_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split()) - 1),
        }
    )
    assert set(told.split()) == wanted


def completed(variables: dict[str, str]) -> str:
    program = os.path.join(os.path.dirname(sys.executable), "blksnap-lab")  # noqa: PTH118, PTH120
    environment = {**os.environ, **variables}
    return subprocess.check_output([program], env=environment, text=True, timeout=60)

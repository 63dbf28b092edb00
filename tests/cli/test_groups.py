"""A group of options is a dataclass; a command gets it whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from lab.cli.groups import grouped


@dataclass(frozen=True)
class Colours:
    """What things look like."""

    ink: Annotated[str, typer.Option("--ink", help="Of letters.")] = "black"
    shades: Annotated[list[int] | None, typer.Option("--shade", help="Of grounds.")] = None


app = typer.Typer()


@app.command()
@grouped
def show(
    colours: Colours,
    what: Annotated[str, typer.Argument(help="A thing.")],
    loud: Annotated[bool, typer.Option("--loud")] = False,
) -> None:
    """Show a thing."""
    typer.echo(f"{what} {colours} {loud}")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["x"], "x Colours(ink='black', shades=None) False"),
        (["--loud", "x", "--ink", "red"], "x Colours(ink='red', shades=None) True"),
        (["x", "--shade", "1", "--shade", "2"], "x Colours(ink='black', shades=[1, 2]) False"),
    ],
)
def test_fields_are_options(words: list[str], said: str) -> None:
    done = CliRunner().invoke(app, words)
    assert (done.exit_code, done.output.strip()) == (0, said)


def test_the_help_is_of_the_command_and_of_each_option() -> None:
    told = CliRunner().invoke(app, ["--help"]).output
    for text in ("Show a thing.", "--ink", "Of letters.", "--shade", "A thing.", "--loud"):
        assert text in told

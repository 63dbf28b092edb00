"""Which scenarios: what `run` and `list` are told alike."""

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from lab.cli import complete
from lab.errors import UsageError
from lab.runner.selection import Selection
from lab.scenario.load import SUFFIX, scenario_name

NamesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NAME",
        help="Scenarios, groups or patterns: overflow/exhausted, cbt, '*wrap*'; or their files."
        " All if none.",
        autocompletion=complete.scenarios,
    ),
]
GroupOption = Annotated[
    list[str] | None,
    typer.Option(
        "--group", "-g", metavar="GROUP", help="Only these.", autocompletion=complete.groups
    ),
]
RuleOption = Annotated[
    list[str] | None,
    typer.Option(
        "--rule",
        "-r",
        metavar="RULE",
        help="Only what proves these: K18, W-05.",
        autocompletion=complete.rules,
    ),
]


def selection(
    names: Sequence[str] | None,
    groups: Sequence[str] | None,
    rules: Sequence[str] | None,
    folder: Path,
) -> Selection:
    """What is asked for of the scenarios in a folder. UsageError for a file that is not there."""
    return Selection(
        tuple(_name(word, folder) for word in names or ()), tuple(groups or ()), tuple(rules or ())
    )


def is_name(word: str, folder: Path) -> bool:
    """Whether a word is a pattern, or the whole name of a scenario, whatever else is called so."""
    pattern = not {*"*?["}.isdisjoint(word) and not Path(word).exists()
    return pattern or (folder / f"{word}{SUFFIX}").is_file()


def _name(word: str, folder: Path) -> str:
    """A word as a name or pattern; of a path the name of the scenario, or the pattern of all below.

    UsageError for a path out of the folder: something of the same name in it would not be what was
    meant.
    """
    if is_name(word, folder):
        return word.removesuffix(SUFFIX)
    path = Path(word)
    if not path.exists():
        if path.suffix not in (SUFFIX, ".yml"):
            return word
        path = folder / path
    if not path.exists():
        raise UsageError(f"there is no {word}", "`blksnap-lab list` has the names of all scenarios")
    if not path.resolve().is_relative_to(folder.resolve()):
        raise UsageError(
            f"{word} is not in {folder}, the folder of the scenarios",
            "--scenarios DIR names another folder; --group a group, whatever else is called so",
        )
    if path.is_file():
        return glob.escape(scenario_name(path, folder))
    inside = path.resolve().relative_to(folder.resolve())
    return f"{glob.escape(inside.as_posix())}/*" if inside.parts else "*"

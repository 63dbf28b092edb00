"""`list` and `check`: what scenarios there are, and whether their files are right."""

import json
import shutil
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from lab.cli.chosen import GroupOption, NamesArgument, RuleOption, is_name, selection
from lab.cli.options import SCENARIOS, JsonOption, ScenariosOption, load_folder
from lab.cli.proofs import proofs
from lab.contract import contract
from lab.errors import UsageError
from lab.runner.selection import Selection, select
from lab.scenario.load import find_scenarios, load_all, scenario_name
from lab.scenario.scenario import Scenario
from lab.scenario.schema import json_schema


def list_command(
    names: NamesArgument = None,
    group: GroupOption = None,
    rule: RuleOption = None,
    proves: Annotated[
        bool,
        typer.Option(
            "--proves",
            "-p",
            help="The rules and traps of the contract instead, each with what proves it.",
        ),
    ] = False,
    scenarios: ScenariosOption = SCENARIOS,
    as_json: JsonOption = False,
) -> None:
    """List the scenarios, or the rules and traps of the contract with what proves them."""
    rules = tuple(rule or ())
    # A rule may well have no scenario, but tests only.
    wanted = selection(names, group, () if proves else rules, scenarios)
    chosen = select(load_folder(scenarios, wanted=wanted), wanted)
    if proves:
        table = {one: found for one, found in proofs(chosen).items() if _asked(one, rules)}
        _show_rules(table, as_json=as_json)
    elif as_json:
        typer.echo(json.dumps([_row(scenario) for scenario in chosen], indent=2))
    else:
        _show(chosen)


def check_command(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE",
            help="Or folders with files; or scenarios, as `run` names them. All if none.",
        ),
    ] = None,
    scenarios: ScenariosOption = SCENARIOS,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema, for editors, instead.")
    ] = False,
) -> None:
    """Check scenario files; all mistakes of all files are told at once."""
    if schema:
        typer.echo(json.dumps(json_schema(), indent=2))
        return
    paths = [path for file in files or () for path in _files_at(file, scenarios)]
    for long in (True, False):
        found = (
            load_all(paths, scenarios, long=long) if files else load_folder(scenarios, long=long)
        )
    typer.echo(f"{len(found)} scenario{'s' if len(found) != 1 else ''}: no mistakes")


def _files_at(path: Path, scenarios: Path) -> list[Path]:
    """The scenario files that a path means: itself, all below a folder, or those of that name."""
    if not is_name(str(path), scenarios):
        there = path if path.exists() else scenarios / path
        if there.is_dir():
            return find_scenarios(there) or [there / "*.yaml"]
        if there.exists():
            return [there]
    named = Selection((str(path),))
    found = find_scenarios(scenarios)
    return [one for one in found if named.may_match(scenario_name(one, scenarios))] or [path]


def _asked(rule: str, wanted: tuple[str, ...]) -> bool:
    """Whether a rule is one of those wanted, or none is. UsageError if one of them is no rule."""
    asked = [one.upper() for one in wanted]
    strange = [one for one in asked if one not in contract()]
    if strange:
        right = "e.g. K1 or W-01; `blksnap-lab list --proves` has all"
        raise UsageError(f"no rule is called {', '.join(strange)}", right)
    return not asked or rule in asked


def _row(scenario: Scenario) -> dict[str, object]:
    return {
        "name": scenario.name,
        "summary": scenario.summary,
        "proves": scenario.proves,
        "regression_for": scenario.regression_for,
        "requires": scenario.requires.model_dump(),
        "timeout": scenario.timeout,
        "default": scenario.default,
        "long": scenario.has_long,
    }


def _show(chosen: tuple[Scenario, ...]) -> None:
    """A line for each, for grep; in a terminal the summary below the name, as wide as that is."""
    terminal = _in_terminal()
    columns = shutil.get_terminal_size().columns
    width = max(len(scenario.name) for scenario in chosen)
    for scenario in chosen:
        rules = " ".join(scenario.proves)
        if terminal:
            typer.echo(f"{scenario.name}  {rules}".rstrip())
            typer.echo(textwrap.indent(textwrap.fill(scenario.summary, columns - 4), " " * 4))
        else:
            typer.echo(f"{scenario.name:<{width}}  {scenario.summary}  {rules}".rstrip())


def _in_terminal() -> bool:
    return sys.stdout.isatty()


def _show_rules(found: Mapping[str, tuple[str, ...]], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for rule, one in found.items():
        typer.echo(f"{rule:<4} {contract()[rule]}")
        typer.echo(f"     {', '.join(one) or '-'}")

"""`list` and `check`: what scenarios there are, and whether their files are right."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from lab.cli.options import SCENARIOS, JsonOption, ScenariosOption, load_folder
from lab.runner.selection import Selection, select
from lab.scenario.load import load_all
from lab.scenario.scenario import Scenario
from lab.scenario.schema import json_schema


def list_command(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...")] = None,
    group: Annotated[list[str] | None, typer.Option("--group", "-g")] = None,
    proves: Annotated[list[str] | None, typer.Option("--proves", "-p")] = None,
    by_rule: Annotated[
        bool, typer.Option("--by-rule", help="Which scenarios prove each rule of the contract.")
    ] = False,
    scenarios: ScenariosOption = SCENARIOS,
    as_json: JsonOption = False,
) -> None:
    """List the scenarios, or the rules of the contract with the scenarios that prove them."""
    selection = Selection(tuple(names or ()), tuple(group or ()), tuple(proves or ()))
    chosen = select(load_folder(scenarios), selection)
    if as_json:
        typer.echo(json.dumps([_row(scenario) for scenario in chosen], indent=2))
    elif by_rule:
        _show_rules(chosen)
    else:
        _show(chosen)


def check_command(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="All scenarios if none.")
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
    found = load_all(files, scenarios) if files else load_folder(scenarios)
    typer.echo(f"{len(found)} scenario{'s' if len(found) != 1 else ''}: no mistakes")


def rules(chosen: tuple[Scenario, ...]) -> dict[str, list[str]]:
    """Names of the scenarios that prove each rule, K1..K37; an empty list where there is none."""
    table: dict[str, list[str]] = {f"K{number}": [] for number in range(1, 38)}
    for scenario in chosen:
        for rule in scenario.proves:
            table[rule].append(scenario.name)
    return table


def _row(scenario: Scenario) -> dict[str, object]:
    return {
        "name": scenario.name,
        "summary": scenario.summary,
        "proves": scenario.proves,
        "regression_for": scenario.regression_for,
        "requires": scenario.requires.model_dump(),
        "timeout": scenario.timeout,
    }


def _show(chosen: tuple[Scenario, ...]) -> None:
    table = Table.grid(padding=(0, 2))
    for scenario in chosen:
        table.add_row(scenario.name, scenario.summary, " ".join(scenario.proves))
    Console(soft_wrap=True, highlight=False).print(table)


def _show_rules(chosen: tuple[Scenario, ...]) -> None:
    table = Table.grid(padding=(0, 2))
    for rule, names in rules(chosen).items():
        table.add_row(rule, ", ".join(names) or "-")
    Console(soft_wrap=True, highlight=False).print(table)

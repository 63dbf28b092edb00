"""`docs`: the page that explains the scenario language and lists the scenarios."""

import typer

from lab.cli.options import SCENARIOS, ScenariosOption, load_folder
from lab.docs import scenario_page


def docs_command(scenarios: ScenariosOption = SCENARIOS) -> None:
    """Print the page, in Markdown: every group, verb, load, device and automatic check.

    It is made of the models that read scenarios; scenarios/README.md must be what this prints.
    """
    typer.echo(scenario_page(load_folder(scenarios), scenarios), nl=False)

"""Which scenarios: what `run` and `list` are told alike."""

from typing import Annotated

import typer

from lab.cli import complete

NamesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NAME",
        help="Scenarios, groups or patterns: overflow/exhausted, cbt, '*wrap*'. All if none.",
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

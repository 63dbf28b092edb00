"""`doctor`: what this machine has and lacks."""

import dataclasses
import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from lab.accel import AccelChoice, decide
from lab.cache import Cache
from lab.cli.progress import ProgressLine
from lab.doctor import Finding, Health, examine
from lab.guest.command import Accel
from lab.image import Recipe, prepare_image
from lab.runner.verdict import ExitStatus

COLOURS = {Health.OK: "green", Health.NOTE: "yellow", Health.LACK: "red"}


def doctor_command(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list instead.")] = False,
    probe: Annotated[
        bool,
        typer.Option(
            "--probe", help="Boot a tiny guest to see whether KVM works; builds the image first."
        ),
    ] = False,
) -> None:
    """Tell all that this machine lacks, at once, each with the command that mends it.

    Exit status 3 if something is missing.
    """
    cache = Cache()
    findings = list(examine(cache.root))
    if probe and not any(f.health is Health.LACK for f in findings):
        findings.append(_acceleration(cache))
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2))
    else:
        _show(findings)
    if any(finding.health is Health.LACK for finding in findings):
        raise typer.Exit(ExitStatus.ENVIRONMENT)


def _show(findings: list[Finding]) -> None:
    table = Table.grid(padding=(0, 2))
    for finding in findings:
        colour = COLOURS[finding.health]
        table.add_row(f"[{colour}]{finding.health}[/]", finding.subject, finding.detail)
        if finding.remedy:
            table.add_row("", "", f"remedy: {finding.remedy}")
    Console(soft_wrap=True, highlight=False).print(table)


def _acceleration(cache: Cache) -> Finding:
    with ProgressLine() as progress:
        image = prepare_image(Recipe(), cache, progress)
        decision = decide(AccelChoice.AUTO, image, cache, progress)
    health = Health.OK if decision.accel is Accel.KVM else Health.NOTE
    return Finding("acceleration", health, f"{decision.accel}: {decision.reason}")

"""`doctor`: what this machine has and lacks."""

import dataclasses
import json
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from lab.accel import probe_again
from lab.cache import Cache
from lab.cli.progress import ProgressLine
from lab.doctor import Finding, Health, examine
from lab.guest.command import Accel
from lab.image import DEFAULT_KERNEL, Recipe, prepare_image
from lab.programs import Need, install_command, missing_programs
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
    """Tell all that this machine lacks, at once, each with the command that mends it."""
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
    console = Console(soft_wrap=True, highlight=False)  # a command is one line, to be copied
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        line = Text(f"{finding.health:<4}", style=COLOURS[finding.health])
        console.print(line.append(f"  {finding.subject:<{width}}  {finding.detail}", "default"))
        if finding.remedy:
            word = "" if finding.health is Health.OK else "remedy: "
            console.print(f"      {'':<{width}}  {word}{escape(finding.remedy)}")
    missing = missing_programs(*Need)
    if len(missing) > 1:
        command = install_command(*(program.package for program in missing))
        console.print(f"all programs at once, as root: {command}")


def _acceleration(cache: Cache) -> Finding:
    with ProgressLine(DEFAULT_KERNEL) as progress:
        image = prepare_image(Recipe(), cache, progress)
        decision = probe_again(image, cache, progress)
    health = Health.OK if decision.accel is Accel.KVM else Health.NOTE
    return Finding("acceleration", health, f"{decision.accel}: {decision.reason}")

"""`build`: what a run needs, made beforehand."""

from typing import Annotated

import typer

from lab.cli.groups import grouped
from lab.cli.options import (
    GuestOptions,
    KernelsOption,
)
from lab.cli.progress import ProgressLine
from lab.guest.prepare import prepare
from lab.image import kernel_names
from lab.programs import require_programs
from lab.runner.ports import facts
from lab.runner.verdict import ExitStatus


@grouped
def build_command(
    guest: GuestOptions,
    kernel: KernelsOption = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="A warning of the compiler is a failure.")
    ] = False,
) -> None:
    """Build image, module and template, so that a run begins at once; tell where they are."""
    wanted = [guest.settings(name) for name in kernel_names(kernel or ())]
    require_programs()
    warned = False
    for settings in wanted:
        with ProgressLine(settings.recipe.kernel.name) as progress:
            template = prepare(settings, progress)
        for name, value in facts(template).items():
            typer.echo(f"{name}: {value}")
        for warning in template.module.warnings if template.module else ():
            typer.echo(warning)
            warned = True
    if strict and warned:
        raise typer.Exit(ExitStatus.NOT_ALL_PASSED)

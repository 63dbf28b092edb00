"""`build`: what a run needs, made beforehand."""

import typer

from lab.cli.groups import grouped
from lab.cli.options import (
    GuestOptions,
    KernelsOption,
)
from lab.cli.progress import ProgressLine
from lab.doctor import require_programs
from lab.guest.prepare import prepare
from lab.image import kernel_names
from lab.runner.ports import facts


@grouped
def build_command(guest: GuestOptions, kernel: KernelsOption = None) -> None:
    """Build image, module and template, so that a run begins at once; tell where they are."""
    wanted = [guest.settings(name) for name in kernel_names(kernel or ())]
    require_programs()
    for settings in wanted:
        with ProgressLine(settings.recipe.kernel.name) as progress:
            template = prepare(settings, progress)
        for name, value in facts(template).items():
            typer.echo(f"{name}: {value}")
        for warning in template.module.warnings if template.module else ():
            typer.echo(warning)

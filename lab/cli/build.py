"""`build`: what a run needs, made beforehand."""

import typer

from lab.accel import AccelChoice
from lab.cli.options import (
    DEFAULT_CPUS,
    DEFAULT_MEMORY,
    MODULE,
    AccelOption,
    CpusOption,
    KernelsOption,
    MemoryOption,
    ModuleOption,
    guest_settings,
)
from lab.cli.progress import ProgressLine
from lab.doctor import require_programs
from lab.guest.prepare import prepare
from lab.image import kernel_names
from lab.runner.ports import facts


def build_command(
    module: ModuleOption = MODULE,
    kernel: KernelsOption = None,
    memory: MemoryOption = DEFAULT_MEMORY,
    cpus: CpusOption = DEFAULT_CPUS,
    accel: AccelOption = AccelChoice.AUTO,
) -> None:
    """Build image, module and template, so that a run begins at once; tell where they are."""
    wanted = [
        guest_settings(module, name, memory, cpus, accel) for name in kernel_names(kernel or ())
    ]
    require_programs()
    for settings in wanted:
        with ProgressLine() as progress:
            template = prepare(settings, progress)
        for name, value in facts(template).items():
            typer.echo(f"{name}: {value}")
        for warning in template.module.facts.warnings if template.module else ():
            typer.echo(warning)

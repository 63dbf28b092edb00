"""`build`, `bench-clone`: what a run needs, made beforehand, or measured."""

from typing import Annotated

import typer

from lab.accel import AccelChoice
from lab.cli.options import (
    DEFAULT_CPUS,
    DEFAULT_MEMORY,
    MODULE,
    AccelOption,
    CpusOption,
    KernelOption,
    KernelsOption,
    MemoryOption,
    ModuleOption,
    guest_settings,
)
from lab.cli.progress import ProgressLine
from lab.doctor import require_programs
from lab.guest.bench_clone import measure_clones
from lab.guest.prepare import prepare
from lab.image import DEFAULT_KERNEL, kernel_names
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


def bench_clone_command(
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="Clones to start.")] = 20,
    module: ModuleOption = MODULE,
    kernel: KernelOption = DEFAULT_KERNEL,
    memory: MemoryOption = DEFAULT_MEMORY,
    cpus: CpusOption = DEFAULT_CPUS,
    accel: AccelOption = AccelChoice.AUTO,
) -> None:
    """Measure how long a clone takes to its agent's first answer, and to be ready for steps."""
    settings = guest_settings(module, kernel, memory, cpus, accel)
    require_programs()
    with ProgressLine() as progress:
        template = prepare(settings, progress)
    typer.echo(str(measure_clones(template, count)))

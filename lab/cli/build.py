"""`build`, `image`, `bench-clone`: what a run needs, made beforehand, shown, or measured."""

import json
from typing import Annotated

import typer

from lab.accel import AccelChoice
from lab.cache import Cache
from lab.cli.options import (
    DEFAULT_CPUS,
    DEFAULT_MEMORY,
    MODULE,
    AccelOption,
    CpusOption,
    JsonOption,
    MemoryOption,
    ModuleOption,
    SuiteOption,
    guest_settings,
)
from lab.cli.progress import ProgressLine
from lab.doctor import require_programs
from lab.guest.bench_clone import measure_clones
from lab.guest.prepare import prepare
from lab.image import DEFAULT_SUITE, Recipe, prepare_image
from lab.runner.ports import facts


def build_command(
    module: ModuleOption = MODULE,
    suite: SuiteOption = DEFAULT_SUITE,
    memory: MemoryOption = DEFAULT_MEMORY,
    cpus: CpusOption = DEFAULT_CPUS,
    accel: AccelOption = AccelChoice.AUTO,
) -> None:
    """Build image, module and template, so that a run begins at once; tell where they are."""
    settings = guest_settings(module, suite, memory, cpus, accel)
    require_programs()
    with ProgressLine() as progress:
        template = prepare(settings, progress)
    for name, value in facts(template).items():
        typer.echo(f"{name}: {value}")


def image_command(
    suite: SuiteOption = DEFAULT_SUITE,
    as_json: JsonOption = False,
) -> None:
    """Build the guest image if it is not there; tell where it is and what is in it."""
    recipe = Recipe(suite)
    require_programs()
    with ProgressLine() as progress:
        image = prepare_image(recipe, Cache(), progress)
    facts = {"key": recipe.key, "folder": str(image.folder), "kernel": image.facts.kernel_release}
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
    else:
        for name, value in facts.items():
            typer.echo(f"{name}: {value}")


def bench_clone_command(
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="Clones to start.")] = 20,
    module: ModuleOption = MODULE,
    suite: SuiteOption = DEFAULT_SUITE,
    memory: MemoryOption = DEFAULT_MEMORY,
    cpus: CpusOption = DEFAULT_CPUS,
    accel: AccelOption = AccelChoice.AUTO,
) -> None:
    """Measure how long a clone takes to its agent's first answer, and to be ready for steps."""
    settings = guest_settings(module, suite, memory, cpus, accel)
    require_programs()
    with ProgressLine() as progress:
        template = prepare(settings, progress)
    typer.echo(str(measure_clones(template, count)))

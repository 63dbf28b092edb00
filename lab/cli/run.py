"""`run`: the main job."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from lab.accel import AccelChoice
from lab.cli.options import (
    CHECKOUT,
    DEFAULT_CPUS,
    DEFAULT_MEMORY,
    MODULE,
    SCENARIOS,
    AccelOption,
    CpusOption,
    KernelsOption,
    MemoryOption,
    ModuleOption,
    ScenariosOption,
    guest_settings,
    load_folder,
)
from lab.doctor import require_programs
from lab.guest.identity import misses_patches
from lab.guest.prepare import prepare
from lab.image import Recipe, kernel_named, kernel_names
from lab.progress import ProgressSink
from lab.report.jsonl import JsonLines
from lab.report.junit import JUnit
from lab.report.terminal import Terminal
from lab.runner.engine import RunSettings, run
from lab.runner.events import Listener
from lab.runner.ports import Template
from lab.runner.selection import Selection, select

DEFAULTS: dict[str, object] = {
    "module": MODULE,
    "scenarios": SCENARIOS,
    "memory": DEFAULT_MEMORY,
    "cpus": DEFAULT_CPUS,
    "accel": AccelChoice.AUTO,
}
"""Options that decide how a scenario runs."""


def run_command(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            help="Scenarios, groups or patterns: overflow/exhausted, cbt, '*wrap*'. All if none.",
        ),
    ] = None,
    group: Annotated[list[str] | None, typer.Option("--group", "-g", help="Only these.")] = None,
    proves: Annotated[
        list[str] | None, typer.Option("--proves", "-p", help="Only what proves these: K18, W-05.")
    ] = None,
    module: ModuleOption = MODULE,
    scenarios: ScenariosOption = SCENARIOS,
    kernel: KernelsOption = None,
    memory: MemoryOption = DEFAULT_MEMORY,
    cpus: CpusOption = DEFAULT_CPUS,
    accel: AccelOption = AccelChoice.AUTO,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", help="Guests at a time; as many as fit if not given."),
    ] = None,
    repeat: Annotated[int, typer.Option("--repeat", help="Run each scenario so often.")] = 1,
    results: Annotated[
        Path, typer.Option("--results", metavar="DIR", help="Gets a folder for each run.")
    ] = Path("results"),
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="JUnit XML as well here.")
    ] = None,
    jsonl: Annotated[
        Path | None, typer.Option("--jsonl", metavar="FILE", help="Events as well here.")
    ] = None,
    slowest: Annotated[int, typer.Option("--slowest", help="Show the N slowest.")] = 0,
) -> None:
    """Run scenarios, each in a fresh guest, and print a verdict for each, kernel by kernel.

    Builds first what is not in the cache: guest image, module, template. Exit status: 0 all
    passed or skipped for a reason, 1 not, 2 bad usage or a bad scenario, 3 this machine lacks
    something, 4 the lab failed.
    """
    selection = Selection(tuple(names or ()), tuple(group or ()), tuple(proves or ()))
    chosen = select(load_folder(scenarios), selection)
    kernels = kernel_names(kernel or ())
    settings = guest_settings(module, memory=memory, cpus=cpus, accel=accel)
    require_programs()
    listeners: list[Listener] = [Terminal(slowest=slowest), JUnit(junit), JsonLines(jsonl)]

    def make(progress: ProgressSink, name: str, guest_memory: int | None) -> Template:
        recipe = Recipe(kernel_named(name))
        guest = replace(settings, recipe=recipe, memory=guest_memory or settings.memory)
        return prepare(guest, progress)

    result = run(
        chosen,
        RunSettings(
            results=results,
            command=again(
                module=module, scenarios=scenarios, memory=memory, cpus=cpus, accel=accel
            ),
            kernels=kernels,
            jobs=jobs if jobs is not None else fitting_jobs(cpus),
            repeat=repeat,
        ),
        listeners,
        make,
    )
    raise typer.Exit(int(result.exit_status))


def fitting_jobs(guest_cpus: int) -> int:
    """How many guests keep the processors of this machine busy, and not more than busy."""
    threads = 1 if misses_patches() else guest_cpus
    return max(1, (os.cpu_count() or 1) // threads)


def again(**options: object) -> tuple[str, ...]:
    """The words that run a scenario the same way again, to be followed by its name.

    `options`: those that decide how it runs; the ones that have their default are left out.
    """
    words = ["ci/scenarios"] if (CHECKOUT / "ci/scenarios").is_file() else ["blksnap-lab", "run"]
    for name, value in options.items():
        if value != DEFAULTS[name]:
            words += [f"--{name}", str(value)]
    return tuple(words)

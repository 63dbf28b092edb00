"""`bench`: how fast the module is, and how fast clones are."""

import json
import sys
from dataclasses import asdict, replace
from typing import Annotated

import typer
from rich.console import Console

from lab.accel import AccelChoice
from lab.bench.clone import measure_clones
from lab.bench.figures import ratios, times
from lab.bench.module import ModuleBench
from lab.bench.report import as_data, ratios_table, times_table
from lab.cli.groups import grouped
from lab.cli.options import (
    GuestOptions,
    JsonOption,
    KernelOption,
)
from lab.cli.progress import ProgressLine
from lab.guest.prepare import prepare
from lab.image import DEFAULT_KERNEL
from lab.programs import require_programs
from lab.runner.ports import facts
from lab.runner.verdict import ExitStatus

# Characters; a table in a pipe is not broken at a terminal's 80.
PIPE_WIDTH = 180

app = typer.Typer(help="Measure the module, or clones of guests.", no_args_is_help=True)


@app.command("clone")
@grouped
def clone_command(
    guest: GuestOptions,
    count: Annotated[
        int, typer.Option("--count", "-n", min=1, metavar="N", help="Clones to start.")
    ] = 20,
    kernel: KernelOption = DEFAULT_KERNEL,
    as_json: JsonOption = False,
) -> None:
    """Measure how long a clone takes to its agent's first answer, and to be ready for steps."""
    settings = guest.settings(kernel)
    require_programs()
    with ProgressLine(kernel) as progress:
        template = prepare(settings, progress)
        times = measure_clones(template, count, progress)
    typer.echo(json.dumps(asdict(times), indent=2) if as_json else str(times))


@app.command("module")
@grouped
def module_command(
    guest: GuestOptions,
    rounds: Annotated[
        int, typer.Option("--rounds", "-n", min=1, metavar="N", help="Rounds to measure.")
    ] = 5,
    depth: Annotated[
        int,
        typer.Option(
            min=1, max=64, metavar="N", help="Requests under way at a time; 1: synchronous."
        ),
    ] = 1,
    null: Annotated[
        bool,
        typer.Option("--null", help="Disks that move no data; implied by --icount."),
    ] = False,
    latency: Annotated[
        int, typer.Option(min=0, metavar="US", help="Latency of --null disks, microseconds.")
    ] = 50,
    icount: Annotated[
        bool,
        typer.Option(
            "--icount",
            help="Time is instructions, a nanosecond each: nearly the same figures in every run.",
        ),
    ] = False,
    kernel: KernelOption = DEFAULT_KERNEL,
    as_json: JsonOption = False,
) -> None:
    """Measure what tracking, copying before writes, and reading of images cost.

    One guest, alternating rounds: without module, with it in each of its states, and with
    dm-snapshot. Ratios are made within rounds. Only with --icount they do not vary too much for a
    verdict.
    """
    bench = ModuleBench(rounds, depth, latency * 1000 if null or icount else None)
    if icount:
        guest = replace(guest, cpus=1, accel=AccelChoice.TCG)
    settings = guest.settings(kernel, icount=icount)
    require_programs()
    with ProgressLine(kernel) as progress:
        template = prepare(settings, progress)
        found = bench.run(template, progress)
    if as_json:
        told = {**facts(template), "icount": icount, "depth": depth, "latency_ns": bench.latency_ns}
        typer.echo(json.dumps(as_data(found, told), indent=2))
    else:
        console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)
        console.print(times_table(times(found)))
        console.print(ratios_table(ratios(found)))
    if icount and any(ratio.reached is False for ratio in ratios(found)):
        raise typer.Exit(ExitStatus.NOT_ALL_PASSED)

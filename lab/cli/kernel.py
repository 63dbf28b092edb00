"""`kernel build`, `kernel series`: kernels of the lab, and the module as patches for them."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from lab.cache import Cache
from lab.cli.options import MODULE, JsonOption, ModuleOption
from lab.cli.progress import ProgressLine
from lab.errors import UsageError
from lab.image import (
    BUILT_KERNELS,
    BuiltKernel,
    Kernel,
    check_kernel_config,
    kernel_named,
    prepare_kernel,
)
from lab.programs import require_programs
from lab.runner.verdict import ExitStatus
from lab.series import drifted, has_series, write_series

NAMES = ", ".join(kernel.name for kernel in BUILT_KERNELS)
app = typer.Typer(help="Kernels that the lab builds itself.", no_args_is_help=True)


@app.callback()
def options() -> None:
    """Kernels that the lab builds itself, from Debian's sources."""


@app.command("build")
def build_command(
    names: Annotated[list[str], typer.Argument(metavar="NAME", help=f"One of {NAMES}.")],
    as_json: JsonOption = False,
    check_config: Annotated[
        bool,
        typer.Option(
            "--check-config",
            help="Build nothing; tell what of a configuration gets lost.",
        ),
    ] = False,
) -> None:
    """Build the kernels that are not there (20 minutes and more each); tell where they are."""
    wanted = [kernel_named(name) for name in names]
    for kernel in wanted:
        if not kernel.source:
            raise UsageError(f"{kernel.name} is a kernel of Debian", f"to build: {NAMES}")
    require_programs()
    if check_config:
        _check_configs(wanted, as_json=as_json)
        return
    built: list[BuiltKernel] = []
    for kernel in wanted:
        with ProgressLine(kernel.name) as progress:
            built.append(prepare_kernel(kernel, Cache(), progress))
    if as_json:
        rows = [{**asdict(one.facts), "folder": str(one.folder)} for one in built]
        typer.echo(json.dumps(rows, indent=2))
        return
    for one in built:
        facts = one.facts
        typer.echo(f"{facts.name}  {facts.release}  {facts.source}  {facts.compiler}")
        typer.echo(f"  {facts.objects} files compiled, {one.config}")
        for line in facts.warnings:
            typer.echo(f"  {line}")


def _check_configs(kernels: Sequence[Kernel], *, as_json: bool) -> None:
    """Tell what gets lost of each configuration; exit status 1 if anything does."""
    lost: dict[str, list[str]] = {}
    for kernel in kernels:
        with ProgressLine(kernel.name) as progress:
            lost[kernel.name] = list(check_kernel_config(kernel, Cache(), progress))
    if as_json:
        typer.echo(json.dumps(lost, indent=2))
    else:
        for name, lines in lost.items():
            typer.echo(f"{name}: {'as asked for' if not lines else 'not as asked for:'}")
            for line in lines:
                typer.echo(f"  {line}")
    if any(lost.values()):
        raise typer.Exit(ExitStatus.NOT_ALL_PASSED)


@app.command("series")
def series_command(
    module: ModuleOption = MODULE,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; tell what would.")
    ] = False,
) -> None:
    """Make the patch series in kernel/ of the module's folder anew, from the sources there."""
    if not has_series(module):
        raise UsageError(f"{module} has no patch series", "see kernel/series.yaml of our module")
    if not check:
        for path in write_series(module):
            typer.echo(str(path.relative_to(module)))
        return
    told = drifted(module)
    for line in told:
        typer.echo(line)
    if told:
        typer.echo("NOT CURRENT: run `blksnap-lab kernel series`")
        raise typer.Exit(ExitStatus.NOT_ALL_PASSED)
    typer.echo("current")

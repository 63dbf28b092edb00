"""`shell`: a fresh guest to try things in by hand."""

import sys
import tempfile
from pathlib import Path
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
    MemoryOption,
    ModuleOption,
    guest_settings,
)
from lab.cli.progress import ProgressLine
from lab.cli.terminal import interact
from lab.doctor import require_programs
from lab.errors import UsageError
from lab.guest.disks import DiskSpec
from lab.guest.prepare import prepare
from lab.image import DEFAULT_KERNEL
from lab.units import parse_size

DISK_HELP = "A disk of the guest, e.g. a=256MiB; may be given several times."


def shell_command(
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- COMMAND]...", help="Run this instead of a shell."),
    ] = None,
    disk: Annotated[
        list[str] | None, typer.Option("--disk", metavar="NAME=SIZE", help=DISK_HELP)
    ] = None,
    module: ModuleOption = MODULE,
    kernel: KernelOption = DEFAULT_KERNEL,
    memory: MemoryOption = DEFAULT_MEMORY,
    cpus: CpusOption = DEFAULT_CPUS,
    accel: AccelOption = AccelChoice.AUTO,
) -> None:
    """Open a shell in a fresh guest; whatever is done there is gone afterwards.

    The modules are built and lie in the folder that is printed; `python3 -m lab.blksnap --help`
    in /opt/blksnap-lab drives them by hand. Ends with the status of the shell or the command.
    """
    disks = [_disk(text) for text in disk or ["a=256MiB", "b=256MiB"]]
    settings = guest_settings(module, kernel, memory, cpus, accel)
    require_programs()
    with ProgressLine() as progress:
        template = prepare(settings, progress)
    with (
        tempfile.TemporaryDirectory(prefix="blksnap-lab.") as folder,
        template.clone(disks, Path(folder)) as guest,
        guest.ssh() as ssh,
    ):
        paths = ", ".join(f"{name} = {disk.path}" for name, disk in guest.disks.items())
        print(f"disks: {paths}; modules: {guest.module_dir}", file=sys.stderr)
        status = interact(ssh.client(), " ".join(command) if command else None)
    raise typer.Exit(status)


def _disk(text: str) -> DiskSpec:
    name, _, size = text.partition("=")
    try:
        return DiskSpec(name, parse_size(size))
    except ValueError as error:
        raise UsageError(f"--disk {text}: {error}", "e.g. --disk a=256MiB") from error

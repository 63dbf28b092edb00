"""`shell`: a fresh or a kept guest to try things in by hand."""

import shlex
import sys
from typing import Annotated

import typer

from lab.cli.groups import grouped
from lab.cli.options import (
    GuestOptions,
    KernelOption,
)
from lab.cli.subject import DiskOption, KeptOption, subject
from lab.cli.terminal import interact
from lab.data import program
from lab.errors import UsageError
from lab.image import DEFAULT_KERNEL


@grouped
def shell_command(
    guest: GuestOptions,
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- COMMAND", help="Run this instead; one word is a script."),
    ] = None,
    kept: KeptOption = None,
    disk: DiskOption = None,
    kernel: KernelOption = DEFAULT_KERNEL,
) -> None:
    """Open a shell in a fresh or a kept guest; whatever is done there is gone afterwards.

    In a fresh one the modules are built and lie in the folder that is printed; `python3 -m
    lab.blksnap --help` in /opt/blksnap-lab drives them by hand. A kept one goes on from where it
    was kept, as often as it is opened.
    """
    with subject(kept, disk, guest, kernel) as it:
        if it.panicked:
            raise UsageError(
                "the kernel of this guest has panicked: it runs no shell",
                f"`{program()} gdb --kept {kept}` looks into it",
            )
        with it.ssh() as ssh:
            print(it.told(), file=sys.stderr)
            status = interact(ssh.client(), _line(command) if command else None)
    raise typer.Exit(status)


def _line(command: list[str]) -> str:
    """What the guest's shell reads: several words stay what they are, one may be a script."""
    return command[0] if len(command) == 1 else shlex.join(command)

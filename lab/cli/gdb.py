"""`gdb`: a guest looked into from below, with the module's symbols at their addresses."""

import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from lab import modbuild
from lab.cache import Cache
from lab.cli.groups import grouped
from lab.cli.options import GuestOptions, KernelOption
from lab.cli.subject import DiskOption, KeptOption, Subject, subject
from lab.errors import LabError
from lab.guest.inspect import serve_gdb
from lab.guest.sections import question, symbol_options
from lab.guest.ssh import HOST, USER
from lab.image import DEFAULT_KERNEL, machine_keys
from lab.programs import find_program

ExecuteOption = Annotated[
    list[str] | None,
    typer.Option("--ex", metavar="COMMAND", help="Run a command of gdb at the start."),
]
BatchOption = Annotated[bool, typer.Option("--batch", help="End after the --ex commands.")]
VmlinuxOption = Annotated[
    Path | None,
    typer.Option(
        "--vmlinux",
        metavar="FILE",
        help="The kernel with its symbols; else only the module has.",
    ),
]

COMMAND_LIMIT = 180.0
_LOAD = (
    "cd {0} && for m in {1}; do "
    "[ ! -e $m.ko ] || grep -q ^$m' ' /proc/modules || insmod $m.ko || exit; done"
)


@grouped
def gdb_command(
    guest: GuestOptions,
    kept: KeptOption = None,
    disk: DiskOption = None,
    execute: ExecuteOption = None,
    batch: BatchOption = False,
    vmlinux: VmlinuxOption = None,
    kernel: KernelOption = DEFAULT_KERNEL,
) -> None:
    """Debug a fresh or a kept guest with gdb, the module's symbols at their addresses.

    The module is loaded in a fresh guest first. The guest stands while gdb has the prompt; how to
    reach it by SSH meanwhile is printed, and works when gdb lets it go on (`continue`). Functions
    of the kernel itself have names with --vmlinux only: Debian's is in linux-image-RELEASE-dbg. In
    a guest that has panicked the module is where it was when it was loaded.
    """
    opened = subject(kept, disk, guest, kernel)
    program = find_program("gdb")
    with tempfile.TemporaryDirectory(prefix="blksnap-lab.") as name, opened as it:
        script = Path(name) / "start.gdb"
        lines = [f"add-symbol-file {word(file)}{where}" for file, where in _symbols(it)]
        if vmlinux is not None:
            lines.insert(0, f"file {word(vmlinux)}")
        if it.sources is not None:
            lines.append(f"set substitute-path {modbuild.SOURCE} {word(it.sources.resolve())}")
        lines.append(f"target remote {Path(name) / 'gdb'}")
        script.write_text("\n".join(["set pagination off", "set confirm off", *lines, ""]))
        serve_gdb(it.machine, Path(name) / "gdb")
        print(_how_to_reach(it), file=sys.stderr)
        command = [program, "-q", "-nx", "-x", str(script)]
        for text in execute or ():
            command += ["-ex", text]
        status = foreground([*command, "-batch"] if batch else command)
    raise typer.Exit(status)


def _symbols(it: Subject) -> list[tuple[Path, str]]:
    """Files with symbols, and the options of add-symbol-file that say where they are loaded."""
    if it.debug_modules is None or not it.debug_modules.is_dir():
        print("the modules with symbols are not in the cache any more", file=sys.stderr)
        return []
    files = sorted(it.debug_modules.glob("*.ko"))
    told = it.sections_at_load if it.panicked else _ask_sections(it, [file.stem for file in files])
    return [(file, options) for file in files if (options := symbol_options(told, file.stem))]


def _ask_sections(it: Subject, names: list[str]) -> str:
    """Where the modules are; in a fresh guest they are loaded first."""
    with it.ssh() as ssh:
        if it.module_dir is not None:
            loaded = ssh.run(_LOAD.format(it.module_dir, " ".join(it.load)), timeout=COMMAND_LIMIT)
            if loaded.status:
                raise LabError(f"the modules cannot be loaded: {loaded.output.strip()}")
        return ssh.run(question(names), timeout=COMMAND_LIMIT).output


def word(path: Path) -> str:
    """A path as gdb reads it."""
    return str(path.absolute()).replace(" ", "\\ ")


def _how_to_reach(it: Subject) -> str:
    if it.panicked:
        return it.told()
    key = machine_keys(Cache()).login_key
    port = it.machine.ssh_port()
    options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
    return f"{it.told()}\nssh -p {port} -i {key} {options} {USER}@{HOST}"


def foreground(command: list[str]) -> int:
    """Run a program that owns the terminal: Ctrl-C is for it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return subprocess.run(
            command,
            check=False,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        ).returncode
    finally:
        signal.signal(signal.SIGINT, before)

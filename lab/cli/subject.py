"""The guest that a person looks into: a fresh one with the module, or one that was kept."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from lab.cache import Cache
from lab.cli.groups import differing, option
from lab.cli.options import GuestOptions
from lab.cli.progress import ProgressLine
from lab.errors import UsageError
from lab.guest import sections
from lab.guest.disks import DiskSpec
from lab.guest.guest import Guest
from lab.guest.kept import Opened, find_kept, open_kept
from lab.guest.machine import Machine
from lab.guest.prepare import prepare
from lab.guest.settings import GuestSettings
from lab.guest.ssh import Ssh
from lab.image import DEFAULT_KERNEL, machine_keys
from lab.programs import require_programs
from lab.progress import Progress
from lab.units import parse_size

DiskOption = Annotated[
    list[str] | None,
    typer.Option(
        "--disk",
        metavar="NAME=SIZE",
        help="A disk of a fresh guest, e.g. a=256MiB; may be given several times.",
    ),
]
KeptOption = Annotated[
    Path | None,
    typer.Option(
        "--kept",
        metavar="DIR",
        help="Instead of a fresh guest one that `run --keep-failed` kept: a scenario's results.",
    ),
]


@dataclass(frozen=True)
class Subject:
    """A running guest, or a panicked one.

    `debug_modules`: on the host, the modules with all their symbols; `sources`: their sources, if
    they are known. `module_dir`: in the guest, the modules to load; None in a kept guest, which has
    them loaded. `load`: their names, in the order in which they are loaded.
    """

    guest: Guest | Opened
    disks: dict[str, str]
    debug_modules: Path | None
    sources: Path | None
    module_dir: str | None
    load: tuple[str, ...] = ()

    @property
    def machine(self) -> Machine:
        """The machine it runs on."""
        return self.guest.machine

    @property
    def panicked(self) -> bool:
        """Whether its kernel is dead: then there is no SSH."""
        return isinstance(self.guest, Opened) and self.guest.kept.panicked

    @property
    def sections_at_load(self) -> str:
        """Where the modules of a kept guest were when they were loaded; see lab.guest.sections."""
        if not isinstance(self.guest, Opened):
            return ""
        file = self.guest.folder / sections.FILE
        return file.read_text(encoding="utf-8") if file.is_file() else ""

    def ssh(self) -> Ssh:
        """A new connection to its sshd, to be closed by the caller."""
        return self.guest.ssh()

    def told(self) -> str:
        """Its disks, and where its modules are, in a line."""
        paths = ", ".join(f"{name} = {path}" for name, path in self.disks.items())
        return f"disks: {paths}" + (f"; modules: {self.module_dir}" if self.module_dir else "")


def subject(
    kept: Path | None,
    disks: list[str] | None,
    guest: GuestOptions,
    kernel: str,
    *,
    console_socket: bool = False,
) -> contextlib.AbstractContextManager[Subject]:
    """A kept guest to open (it goes on if it can), or a fresh one; it is gone afterwards.

    UsageError, at once, for options that are for the other kind, or that cannot be.
    """
    settings = guest.settings(kernel)
    specs = [_disk(text) for text in disks or ["a=256MiB", "b=256MiB"]]
    twice = [one.name for one in specs if sum(one.name == other.name for other in specs) > 1]
    if twice:
        raise UsageError(f"--disk {twice[0]} is given twice", "each disk has a name of its own")
    if kept is not None:
        _refuse_for_kept(disks, guest, kernel)
        find_kept(kept)
    require_programs()
    return _subject(kept, specs, settings, console_socket)


@contextlib.contextmanager
def _subject(
    kept: Path | None, specs: list[DiskSpec], settings: GuestSettings, console_socket: bool
) -> Iterator[Subject]:
    with Cache().scratch("shell") as folder, contextlib.ExitStack() as stack:
        if kept is not None:
            yield _kept(kept, folder, stack, console_socket)
        else:
            yield _fresh(specs, settings, folder, stack, console_socket)


def _refuse_for_kept(disks: list[str] | None, guest: GuestOptions, kernel: str) -> None:
    given = ["--disk"] if disks else []
    given += ["--kernel"] if kernel != DEFAULT_KERNEL else []
    given += map(option, differing(guest))
    if given:
        raise UsageError(
            f"{', '.join(given)}: a kept guest goes on as it was kept", "leave out what it has"
        )


def _kept(path: Path, scratch: Path, stack: contextlib.ExitStack, console: bool) -> Subject:
    keys = machine_keys(Cache())
    with ProgressLine() as progress:
        progress(Progress("kept guest", "opening it"))
        opened = stack.enter_context(
            open_kept(find_kept(path), scratch, keys, console_socket=console)
        )
    kept = opened.kept
    if not kept.panicked:
        opened.go_on()
    paths = {disk.name: disk.path for disk in kept.disks}
    return Subject(opened, paths, kept.debug_modules, kept.module_source, None)


def _fresh(
    disks: list[DiskSpec],
    settings: GuestSettings,
    scratch: Path,
    stack: contextlib.ExitStack,
    console: bool,
) -> Subject:
    with ProgressLine(settings.recipe.kernel.name) as progress:
        template = prepare(settings, progress)
    clone = template.clone(disks, scratch, keepable=True, console_socket=console)
    guest = stack.enter_context(clone)
    paths = {name: disk.path for name, disk in guest.disks.items()}
    debug = template.module.debug_folder if template.module else None
    load = (settings.flavour.filter, settings.flavour.module)
    return Subject(guest, paths, debug, settings.module, guest.module_dir, load)


def _disk(text: str) -> DiskSpec:
    name, _, size = text.partition("=")
    try:
        return DiskSpec(name, parse_size(size))
    except (ValueError, UsageError) as error:
        why = error.what if isinstance(error, UsageError) else error
        raise UsageError(f"--disk {text}: {why}", "e.g. --disk a=256MiB") from error

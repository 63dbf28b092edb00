"""Options that several commands share, and what they mean."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from lab.accel import AccelChoice
from lab.data import data_folder
from lab.errors import UsageError
from lab.flavour import Flavour, flavour_of
from lab.guest.settings import GuestSettings
from lab.image import BUILT_KERNELS, DEFAULT_KERNEL, KERNELS, Recipe, kernel_named
from lab.image.kernels import ALL
from lab.modready import ready_files
from lab.runner.selection import Selection
from lab.scenario.load import find_scenarios, load_all, scenario_name
from lab.scenario.scenario import Scenario
from lab.units import parse_size

SCENARIOS = data_folder("scenarios")
MODULE = data_folder("guest_module")

ModuleOption = Annotated[
    Path,
    typer.Option(
        "--module",
        metavar="DIR",
        help="Folder of the module's sources: any that speaks the same interface.",
        show_default="guest_module",
    ),
]
KoOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--ko",
        metavar="FILE|DIR",
        help="Modules that are built already, instead of sources; may be given several times.",
    ),
]
FlavourOption = Annotated[
    Path | None,
    typer.Option(
        "--flavour",
        metavar="FILE",
        help="Names of a build's modules and nodes.",
        show_default="flavour.yaml in --module or --ko",
    ),
]
KERNEL_HELP = (
    f"Kernel of the guest: {', '.join(kernel.name for kernel in KERNELS)}; built by the lab:"
    f" {', '.join(kernel.name for kernel in BUILT_KERNELS)}"
)


def _one_kernel(incomplete: str) -> list[str]:
    known = KERNELS + BUILT_KERNELS
    return [kernel.name for kernel in known if kernel.name.startswith(incomplete)]


def _kernels(incomplete: str) -> list[str]:
    return [*_one_kernel(incomplete), *(word for word in (ALL,) if word.startswith(incomplete))]


KernelOption = Annotated[
    str,
    typer.Option(
        "--kernel", "-k", metavar="NAME", help=f"{KERNEL_HELP}.", autocompletion=_one_kernel
    ),
]
KernelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--kernel",
        "-k",
        metavar="NAME",
        help=f"{KERNEL_HELP}. all: all that are not built. May be given several times.",
        autocompletion=_kernels,
        show_default=DEFAULT_KERNEL,
    ),
]
MemoryOption = Annotated[str, typer.Option("--memory", metavar="SIZE", help="Memory of a guest.")]
CpusOption = Annotated[
    int, typer.Option("--cpus", min=1, metavar="N", help="Processors of a guest.")
]
AccelOption = Annotated[
    AccelChoice, typer.Option("--accel", help="auto: KVM where a guest boots with it, else TCG.")
]
ScenariosOption = Annotated[
    Path,
    typer.Option(
        "--scenarios", metavar="DIR", help="Folder of the scenarios.", show_default="scenarios"
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON for machines.")]

EVERYTHING = Selection()
DEFAULT_MEMORY = "1GiB"
DEFAULT_CPUS = 2


@dataclass(frozen=True)
class GuestOptions:
    """What commands that start guests are told of them, but for the kernel."""

    module: ModuleOption = MODULE
    ko: KoOption = None
    flavour: FlavourOption = None
    memory: MemoryOption = DEFAULT_MEMORY
    cpus: CpusOption = DEFAULT_CPUS
    accel: AccelOption = AccelChoice.AUTO

    def settings(self, kernel: str = DEFAULT_KERNEL, *, icount: bool = False) -> GuestSettings:
        """The guest that the options ask for. Raises UsageError for what cannot be."""
        ready = ready_files(tuple(self.ko)) if self.ko else ()
        names = flavour_of(ready[0].parent if ready else self.module, self.flavour)
        if not ready:
            require_sources(self.module, names)
        try:
            size = parse_size(self.memory)
        except ValueError as error:
            raise UsageError(f"--memory: {error}") from error
        return GuestSettings(
            module=None if ready else self.module,
            recipe=Recipe(kernel_named(kernel)),
            memory=size,
            cpus=self.cpus,
            accel=self.accel,
            icount=icount,
            ready=ready,
            flavour=names,
        )


def require_sources(module: Path, names: Flavour | None = None) -> None:
    """UsageError if a folder has no sources of a module."""
    names = names or flavour_of(module, None)
    if not any((module / name).is_file() for name in ("Makefile", "Kbuild")):
        raise UsageError(
            f"{module} is no source tree of the module: it has neither Makefile nor Kbuild",
            "name the folder with --module; `make -C /lib/modules/RELEASE/build M=FOLDER modules`"
            f" has to make {names.module}.ko of it, and {names.filter}.ko if it needs one; see"
            " docs/other-modules.md",
        )


def require_file(option: str, path: Path | None) -> None:
    """UsageError if a file cannot be written at the path of an option; its folder is made."""
    if path is None:
        return
    wrong = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            wrong = "it is a folder"
        elif not os.access(path.parent, os.W_OK | os.X_OK):
            wrong = f"{path.parent} cannot be written in"
    except OSError as error:
        wrong = f"the folder {path.parent} cannot be made: {error.strerror}"
    if wrong:
        raise UsageError(f"{option} {path}: {wrong}", "name a file in a folder of yours")


def load_folder(
    folder: Path, *, long: bool = False, wanted: Selection = EVERYTHING
) -> list[Scenario]:
    """The scenarios below a folder, but for those that cannot be wanted, which are not read.

    Raises UsageError with all mistakes, or if there are no files.
    """
    files = find_scenarios(folder) if folder.is_dir() else []
    if not files:
        raise UsageError(f"no scenario files in {folder}", "name their folder with --scenarios")
    read = [file for file in files if wanted.may_match(scenario_name(file, folder))]
    return load_all(read, folder, long=long)

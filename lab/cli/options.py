"""Options that several commands share, and what they mean."""

from pathlib import Path
from typing import Annotated

import typer

import lab
from lab.accel import AccelChoice
from lab.errors import UsageError
from lab.guest.settings import GuestSettings
from lab.image import DEFAULT_KERNEL, KERNELS, Recipe, kernel_named
from lab.scenario.load import find_scenarios, load_all
from lab.scenario.scenario import Scenario
from lab.units import parse_size

CHECKOUT = Path(lab.__file__).resolve().parent.parent
SCENARIOS = CHECKOUT / "scenarios"
MODULE = CHECKOUT / "guest_module"

ModuleOption = Annotated[
    Path,
    typer.Option(
        "--module",
        metavar="DIR",
        help="Folder of the module's sources: any that speaks the same interface.",
        show_default="guest_module",
    ),
]
KERNEL_HELP = f"Kernel of the guest: {', '.join(kernel.name for kernel in KERNELS)}"
KernelOption = Annotated[
    str, typer.Option("--kernel", "-k", metavar="NAME", help=f"{KERNEL_HELP}.")
]
KernelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--kernel",
        "-k",
        metavar="NAME",
        help=f"{KERNEL_HELP}, or all; may be given several times.",
        show_default=DEFAULT_KERNEL,
    ),
]
MemoryOption = Annotated[str, typer.Option("--memory", help="Memory of a guest.")]
CpusOption = Annotated[int, typer.Option("--cpus", help="Processors of a guest.")]
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

DEFAULT_MEMORY = "1GiB"
DEFAULT_CPUS = 2


def guest_settings(
    module: Path | None = MODULE,
    kernel: str = DEFAULT_KERNEL,
    memory: str = DEFAULT_MEMORY,
    cpus: int = DEFAULT_CPUS,
    accel: AccelChoice = AccelChoice.AUTO,
    *,
    icount: bool = False,
) -> GuestSettings:
    """The guest that the options ask for. Raises UsageError for what cannot be."""
    if module is not None and not (module / "Makefile").is_file():
        raise UsageError(
            f"{module} is no source tree of the module: it has no Makefile",
            "name the folder with --module; `make modules KDIR=...` there has to make"
            " bdevfilter.ko and blksnap.ko",
        )
    try:
        size = parse_size(memory)
    except ValueError as error:
        raise UsageError(f"--memory: {error}") from error
    recipe = Recipe(kernel_named(kernel))
    return GuestSettings(
        module=module, recipe=recipe, memory=size, cpus=cpus, accel=accel, icount=icount
    )


def load_folder(folder: Path) -> list[Scenario]:
    """All scenarios below a folder. Raises UsageError with all mistakes, or if there are none."""
    files = find_scenarios(folder) if folder.is_dir() else []
    if not files:
        raise UsageError(f"no scenario files in {folder}", "name their folder with --scenarios")
    return load_all(files, folder)

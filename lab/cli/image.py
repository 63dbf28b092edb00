"""`image build`, `list`, `prune`: the guest images, one for each kernel of the matrix."""

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import zip_longest
from typing import Annotated

import typer

from lab.cache import Cache, disk_usage, surplus, tidy
from lab.cli.options import JsonOption, KernelsOption
from lab.cli.progress import ProgressLine
from lab.compiler_cache import archive_path
from lab.image import (
    BUILT_KERNELS,
    KERNELS,
    Image,
    Kernel,
    Recipe,
    find_image,
    kernel_named,
    kernel_names,
    prepare_image,
)
from lab.image import store as images
from lab.programs import require_programs
from lab.units import MIB


class Fate(StrEnum):
    """What becomes of an entry of the cache that nobody needs."""

    REMOVED = "removed"
    WOULD_GO = "would remove"
    IN_USE = "in use, stays"


@dataclass(frozen=True)
class _Pruned:
    """An entry of the cache, its size in bytes, and what became of it."""

    kind: str
    key: str
    size: int
    fate: Fate


app = typer.Typer(help="Guest images, one for each kernel of the matrix.", no_args_is_help=True)


@app.command("build")
def build_command(kernel: KernelsOption = None, as_json: JsonOption = False) -> None:
    """Build the images that are not there; tell where they are and what is in them."""
    wanted = [kernel_named(name) for name in kernel_names(kernel or ())]
    require_programs()
    built: dict[Kernel, Image | None] = {}
    for one in wanted:
        with ProgressLine(one.name) as progress:
            built[one] = prepare_image(Recipe(one), Cache(), progress)
    _tell(built, as_json)


@app.command("list")
def list_command(as_json: JsonOption = False) -> None:
    """List the images of all kernels: what is in those that are built, and which are not."""
    known = KERNELS + BUILT_KERNELS
    _tell({kernel: find_image(Recipe(kernel), Cache()) for kernel in known}, as_json)


@app.command("prune")
def prune_command(
    kernel: Annotated[
        list[str] | None,
        typer.Option(
            "--kernel", "-k", metavar="NAME", help="Of these kernels too, or all; several times."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Tell what would go; remove nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove images that are of no kernel any more, and those of --kernel.

    Their compiler archives go too, and what the cache holds beyond its bounds. What a run uses
    just now stays. The next run builds what it misses.
    """
    cache = Cache()
    named = {Recipe(kernel_named(name)).key for name in kernel_names(kernel)} if kernel else set()
    stay = {Recipe(one).key for one in KERNELS + BUILT_KERNELS} - named
    unneeded = [one.name for one in cache.entries(images.KIND) if one.name not in stay]
    found = [
        _prune(cache, kind, key, dry_run)
        for kind, key in [*((images.KIND, key) for key in unneeded), *surplus(cache, unneeded)]
    ]
    if not dry_run:
        tidy(cache)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], indent=2))
        return
    for one in found:
        typer.echo(f"{one.fate} {one.kind}/{one.key}: {one.size // MIB} MiB")
    freed = sum(one.size for one in found if one.fate is not Fate.IN_USE)
    typer.echo(f"{freed // MIB} MiB {'would be ' if dry_run else ''}freed")


def _prune(cache: Cache, kind: str, key: str, dry_run: bool) -> _Pruned:
    size = disk_usage(cache.root / kind / key)
    if dry_run:
        return _Pruned(kind, key, size, Fate.WOULD_GO)
    if not cache.remove_unused(kind, key):
        return _Pruned(kind, key, size, Fate.IN_USE)
    if kind == images.KIND:
        archive_path(cache, key).unlink(missing_ok=True)
    return _Pruned(kind, key, size, Fate.REMOVED)


def _tell(found: dict[Kernel, Image | None], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([_row(*pair) for pair in found.items()], indent=2))
        return
    for line in _columns([_cells(*pair) for pair in found.items()]):
        typer.echo(line)


def _cells(kernel: Kernel, image: Image | None) -> tuple[str, ...]:
    if image is None:
        return kernel.name, kernel.suite, "not built"
    size = f"{image.size // MIB:>4} MiB"
    facts = image.facts
    return kernel.name, kernel.suite, facts.kernel_release, facts.compiler, size, str(image.folder)


def _columns(rows: list[tuple[str, ...]]) -> list[str]:
    """The rows as lines; a column is as wide as its longest cell."""
    places = zip_longest(*rows, fillvalue="")
    widths = [max(len(cell) for cell in column) for column in places]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _row(kernel: Kernel, image: Image | None) -> dict[str, object]:
    """What is told of an image; `size` in bytes."""
    row: dict[str, object] = {"kernel": kernel.name, "suite": kernel.suite, "built": bool(image)}
    if image is not None:
        row |= {
            "release": image.facts.kernel_release,
            "compiler": image.facts.compiler,
            "size": image.size,
            "key": image.key,
            "folder": str(image.folder),
        }
    return row

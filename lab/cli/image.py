"""`image build`, `image list`: the guest images, one for each kernel of the matrix."""

import json

import typer

from lab.cache import Cache
from lab.cli.options import JsonOption, KernelsOption
from lab.cli.progress import ProgressLine
from lab.doctor import require_programs
from lab.image import (
    KERNELS,
    Image,
    Kernel,
    Recipe,
    find_image,
    kernel_named,
    kernel_names,
    prepare_image,
)
from lab.units import MIB

app = typer.Typer(help="Guest images, one for each kernel of the matrix.", no_args_is_help=True)


@app.command("build")
def build_command(kernel: KernelsOption = None, as_json: JsonOption = False) -> None:
    """Build the images that are not there; tell where they are and what is in them."""
    wanted = [kernel_named(name) for name in kernel_names(kernel or ())]
    require_programs()
    images: dict[Kernel, Image | None] = {}
    for one in wanted:
        with ProgressLine() as progress:
            images[one] = prepare_image(Recipe(one), Cache(), progress)
    _tell(images, as_json)


@app.command("list")
def list_command(as_json: JsonOption = False) -> None:
    """List the images of all kernels: what is in those that are built, and which are not."""
    _tell({kernel: find_image(Recipe(kernel), Cache()) for kernel in KERNELS}, as_json)


def _tell(images: dict[Kernel, Image | None], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([_row(*pair) for pair in images.items()], indent=2))
        return
    for kernel, image in images.items():
        told = "not built"
        if image is not None:
            release, compiler = image.facts.kernel_release, image.facts.compiler
            told = f"{release:<26} {compiler:<24} {image.size // MIB:>4} MiB  {image.folder}"
        typer.echo(f"{kernel.name:<5} {kernel.suite:<9} {told}")


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

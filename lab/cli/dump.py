"""`dump`: the memory of a kept guest as a file, for crash and drgn."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from lab.cache import Cache
from lab.cli.progress import ProgressLine
from lab.errors import UsageError
from lab.guest.inspect import dump_memory
from lab.guest.kept import find_kept, open_kept
from lab.image import machine_keys
from lab.programs import require_programs
from lab.progress import Progress


def dump_command(
    kept: Annotated[
        Path, typer.Argument(metavar="DIR", help="Results of a scenario whose guest was kept.")
    ],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="New file.")],
) -> None:
    """Write the memory of a kept guest as a compressed kdump, which crash and drgn read."""
    if file.exists():
        raise UsageError(f"{file} exists already", "name a new file")
    folder = find_kept(kept)
    require_programs()
    try:
        _dump(folder, file)
    except BaseException:
        # QEMU is gone by now: nobody writes it any more.
        file.unlink(missing_ok=True)
        raise
    print(f"{file}: {file.stat().st_size >> 20} MiB")


def _dump(folder: Path, file: Path) -> None:
    keys = machine_keys(Cache())
    with (
        tempfile.TemporaryDirectory(prefix="blksnap-lab.") as name,
        ProgressLine() as progress,
    ):
        progress(Progress("kept guest", "opening it"))
        with open_kept(folder, Path(name), keys) as opened:
            progress(Progress("dump", f"writing {file}"))
            dump_memory(opened.machine, file.absolute())

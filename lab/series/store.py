"""The series where it is kept, guest_module/kernel/RELEASE/*.patch; whether it is still true."""

from pathlib import Path

from lab.series.plan import FOLDER, read_plan
from lab.series.render import has_series, render_series

PATTERN = "*.patch"


def stored_series(module: Path, kernel: str) -> dict[str, str]:
    """The patches that are kept for a kernel release, by the names of their files, in order."""
    folder = module / FOLDER / kernel
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob(PATTERN))}


def write_series(module: Path) -> list[Path]:
    """Make the series of all kernels anew; the files that changed, came or went."""
    changed: list[Path] = []
    for kernel in read_plan(module).kernels:
        wanted, there = render_series(module, kernel), stored_series(module, kernel)
        for name in sorted(wanted.keys() | there.keys()):
            path = module / FOLDER / kernel / name
            if name not in wanted:
                path.unlink()
            elif wanted[name] != there.get(name):
                path.write_text(wanted[name], encoding="utf-8")
            else:
                continue
            changed.append(path)
    return changed


def is_kept_series(module: Path, kept: Path, kernel: str) -> bool:
    """Whether the sources in `module` make the very series that is kept in the folder `kept`."""
    return has_series(module) and render_series(module, kernel) == stored_series(kept, kernel)


def drifted(module: Path) -> list[str]:
    """What of the series that is kept is not what the sources make: RELEASE/NAME, with why."""
    told: list[str] = []
    for kernel in read_plan(module).kernels:
        wanted, there = render_series(module, kernel), stored_series(module, kernel)
        for name in sorted(wanted.keys() | there.keys()):
            if name not in wanted:
                told.append(f"{kernel}/{name}: nothing makes it any more")
            elif name not in there:
                told.append(f"{kernel}/{name}: is missing")
            elif wanted[name] != there[name]:
                told.append(f"{kernel}/{name}: is not what the sources make")
    return told

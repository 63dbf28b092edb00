"""The cache is bounded: how many entries of each kind stay, what it holds, and what goes.

Entries that are in use stay whatever their number.
"""

import contextlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from lab.cache.claims import sweep_claims
from lab.cache.store import EXCLUSIVE, Cache, lock_file

KEPT = {
    # Some 650 MB each: one for each kernel, and those that were current before.
    "images": 16,
    # Of the kernels that the lab builds.
    "kernels": 8,
    # Some 700 MB each: for the static checks, and for each suite that kernels are built of.
    "toolboxes": 4,
    # Some 150 MB each: one for each kernel, module and size of memory that was used of late.
    "templates": 12,
    # Some 5 MB each.
    "modules": 64,
    # What guests compiled for a scenario, less than 1 MB each.
    "compiled": 64,
    "accel": 8,
}
"""How many entries of a kind stay; of other kinds all do."""
# Folders of the cache that hold no entries.
_OURS = ("aside", "claims", "locks")


@dataclass(frozen=True)
class Holding:
    """What the cache holds of a kind: how many entries or files, bytes, and how many may stay."""

    kind: str
    count: int
    size: int
    limit: int | None


def tidy(cache: Cache) -> None:
    """Remove what was used longest ago, beyond the bounds, and what killed processes left."""
    cache.sweep()
    sweep_claims(cache)
    for kind, key in surplus(cache):
        cache.remove_unused(kind, key)
    _forget_locks(cache)


def surplus(cache: Cache, gone: Collection[str] = ()) -> list[tuple[str, str]]:
    """Kind and key of what was used longest ago, beyond the bounds.

    gone: keys of images that are counted as removed already.
    """
    found = []
    for kind, keep in KEPT.items():
        keys = [path.name for path in cache.entries(kind)]
        there = [key for key in keys if kind != "images" or key not in gone]
        found += [(kind, key) for key in there[keep:]]
    return found


def holdings(cache: Cache) -> list[Holding]:
    """All that is in the cache, by kind."""
    if not cache.root.is_dir():
        return []
    folders = sorted(path for path in cache.root.iterdir() if path.name not in _OURS)
    return [
        Holding(path.name, len(list(path.iterdir())), disk_usage(path), KEPT.get(path.name))
        for path in folders
        if path.is_dir()
    ]


def disk_usage(folder: Path) -> int:
    """Bytes that a folder and all below it take on the disk."""
    size = 0
    for path in (folder, *folder.rglob("*")):
        with contextlib.suppress(OSError):
            size += path.lstat().st_blocks * 512
    return size


def _forget_locks(cache: Cache) -> None:
    """Remove the locks of entries that are gone, but not those that are held."""
    there = {f"{path.parent.name}-{path.name}" for path in cache.root.glob("*/*")}
    for path in (cache.root / "locks").glob("*"):
        if path.stem not in there:
            with contextlib.suppress(OSError), contextlib.closing(lock_file(path, EXCLUSIVE)):
                path.unlink()

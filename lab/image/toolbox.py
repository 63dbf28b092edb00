"""Small Debian roots with a compiler and what else a job on this host needs, used by chroot.

    <cache>/toolboxes/<key>/root     the unpacked root; never written after it was built

Nothing needs root where unprivileged user namespaces work.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.cache import Cache
from lab.image.boot import installed_packages
from lab.image.namespace import namespace, require_namespaces
from lab.image.recipe import TEXTS, Recipe
from lab.image.rootfs import make_root_archive
from lab.process import run
from lab.progress import Progress, ProgressSink, silent

KIND = "toolboxes"
STAGE = "toolbox"
# What no toolbox needs: texts, and compilers of other languages and for link-time optimization.
EXCLUDED = (*TEXTS, "/usr/lib/gcc/*/*/lto1", "/usr/lib/gcc/*/*/lib*san.*")
UNPACK_LIMIT = 600.0

# $1 the root, $2 and $3 what becomes /mnt and /srv in it, $4 the script. The kernel's build asks
# /dev/null a lot.
_ENTER = (
    'mount --rbind /dev "$1/dev" && mount --bind "$2" "$1/mnt" && mount --bind "$3" "$1/srv"'
    ' && exec chroot "$1" sh -c "$4"'
)


@dataclass(frozen=True)
class Toolbox:
    """An unpacked root."""

    root: Path

    def run(
        self,
        folder: Path,
        script: str,
        *,
        timeout: float,
        kept: Path | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> str:
        """Run a shell script in the root, with `folder` as /mnt and `kept` as /srv; what it wrote.

        As lab.process.run; EnvironmentLack where no namespace can be had.
        """
        places = [str(self.root), str(folder), str(kept or folder)]
        return run(
            [*namespace(), "sh", "-c", _ENTER, "enter", *places, script],
            timeout=timeout,
            on_line=on_line,
        )

    def packages(self) -> dict[str, str]:
        """Versions of the packages in it."""
        status = self.root / "var/lib/dpkg/status"
        return installed_packages(status.read_text(encoding="utf-8", errors="replace"))


def unpack_toolbox(
    recipe: Recipe, cache: Cache, progress: ProgressSink = silent, finish: str = ":"
) -> Toolbox:
    """The toolbox of a recipe: from the cache, or made now (a download, and two minutes).

    finish: shell script run in it once; what it changes is kept. Not part of the key.
    """
    require_namespaces()

    def build(folder: Path) -> None:
        archive, root = folder / "root.tar", folder / "root"
        make_root_archive(recipe, archive, progress)
        progress(Progress(STAGE, "unpacking", 0.9))
        root.mkdir()
        unpack = ["tar", "-x", "--no-same-owner", "--exclude=./dev/*", "-f", str(archive)]
        run([*unpack, "-C", str(root)], timeout=UNPACK_LIMIT)
        archive.unlink()
        _turn_links(root)
        Toolbox(root).run(folder, finish, timeout=UNPACK_LIMIT)

    return Toolbox(cache.entry(KIND, recipe.key, build, progress) / "root")


def _turn_links(root: Path) -> None:
    """Make absolute links relative: seen from outside they would lead out of the root."""
    for path in root.rglob("*"):
        if path.is_symlink() and (target := path.readlink()).is_absolute():
            path.unlink()
            inside = root / target.relative_to("/")
            path.symlink_to(os.path.relpath(inside, path.parent))

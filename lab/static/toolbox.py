"""A small Debian root with headers, compiler and checkers of the guests' kernel, used by chroot.

    <cache>/toolboxes/<key>/root     the unpacked root; never written after it was built
                      root/usr/src/linux-source-*/scripts/checkpatch.pl

Debian ships checkpatch in one package only, linux-source; of its archive just the script and what
it reads are kept. Nothing needs root where unprivileged user namespaces work.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.cache import Cache
from lab.errors import EnvironmentLack
from lab.image import Recipe
from lab.image.rootfs import make_root_archive
from lab.process import CommandFailed, run
from lab.progress import Progress, ProgressSink, silent

KIND = "toolboxes"
STAGE = "toolbox"
KERNEL_PACKAGES = ("linux-headers-cloud-amd64", "linux-source")
PACKAGES = (
    "gcc",
    "libc6-dev",
    "make",
    "perl",
    "sparse",
    "xz-utils",
)
EXCLUDED = (
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/locale/*",
    "/usr/share/info/*",
    # For other languages and for link-time optimization; a third of the root.
    "/usr/lib/gcc/*/*/lto1",
    "/usr/lib/gcc/*/*/lib*san.*",
)
UNPACK_LIMIT = 600.0
PROBE_LIMIT = 30.0

# $1 the root, $2 what becomes /mnt in it, $3 the script. The kernel's build asks /dev/null a lot.
_ENTER = 'mount --rbind /dev "$1/dev" && mount --bind "$2" "$1/mnt" && exec chroot "$1" sh -c "$3"'
_KEEP_CHECKPATCH = """
set -e
cd /usr/src
tar -xJf linux-source-*.tar.xz --wildcards '*/scripts/checkpatch.pl' '*/scripts/spelling.txt' \\
    '*/scripts/const_structs.checkpatch'
rm linux-source-*.tar.xz
"""


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
        on_line: Callable[[str], None] | None = None,
    ) -> str:
        """Run a shell script in the root, with `folder` as /mnt; what it wrote.

        As lab.process.run; EnvironmentLack where no namespace can be had.
        """
        return run(
            [*_namespace(), "sh", "-c", _ENTER, "enter", str(self.root), str(folder), script],
            timeout=timeout,
            on_line=on_line,
        )


def prepare_toolbox(cache: Cache, progress: ProgressSink = silent) -> Toolbox:
    """The toolbox: from the cache, or made now (a download of 250 MB and two minutes)."""
    recipe = Recipe(packages=KERNEL_PACKAGES + PACKAGES, excluded=EXCLUDED)
    _require_namespaces()

    def build(folder: Path) -> None:
        archive, root = folder / "root.tar", folder / "root"
        make_root_archive(recipe, archive, progress)
        progress(Progress(STAGE, "unpacking", 0.9))
        root.mkdir()
        unpack = ["tar", "-x", "--no-same-owner", "--exclude=./dev/*", "-f", str(archive)]
        run([*unpack, "-C", str(root)], timeout=UNPACK_LIMIT)
        archive.unlink()
        _turn_links(root)
        Toolbox(root).run(folder, _KEEP_CHECKPATCH, timeout=UNPACK_LIMIT)

    return Toolbox(cache.entry(KIND, recipe.key, build, progress) / "root")


def _turn_links(root: Path) -> None:
    """Make absolute links relative: seen from outside they would lead out of the root."""
    for path in root.rglob("*"):
        if path.is_symlink() and (target := path.readlink()).is_absolute():
            path.unlink()
            inside = root / target.relative_to("/")
            path.symlink_to(os.path.relpath(inside, path.parent))


def _namespace() -> list[str]:
    """What gives a command mounts of its own."""
    own_users = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", "--mount", *own_users, "--"]


def _require_namespaces() -> None:
    try:
        run([*_namespace(), "true"], timeout=PROBE_LIMIT)
    except CommandFailed as error:
        raise EnvironmentLack(
            f"no namespace for mounts can be had here: {error.output.strip()}",
            "as root: sysctl user.max_user_namespaces=10000, or run it as root",
        ) from error

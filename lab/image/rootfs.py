"""The guest's root file system: Debian packages into an archive, the archive into a disk image.

Needs no loop device, and no root where unprivileged user namespaces work: then both steps run in
a namespace in which the user appears as root.
"""

import os
import re
from pathlib import Path

from lab.image.kernels import Kernel
from lab.image.namespace import namespace, require_namespaces
from lab.image.recipe import Recipe
from lab.process import run
from lab.programs import find_program
from lab.progress import Progress, ProgressSink

STAGE = "image"
DOWNLOAD_LIMIT = 1800.0
CONVERT_LIMIT = 600.0

# What mmdebstrap says at the start of each step, and how far it is then (measured: 70 s in all).
_STEPS = (
    ("running apt-get update", 0.02),
    ("downloading packages", 0.08),
    ("extracting archives", 0.25),
    ("installing essential", 0.35),
    ("installing remaining", 0.45),
    ("creating tarball", 0.85),
)

# Should the lab be killed, the first process of a command is asked to end. mmdebstrap waits for its
# children then, which do not know: this asks all of them.
_AS_A_GROUP = ("sh", "-c", """trap "trap '' TERM; kill -TERM 0" TERM; "$@" & wait $!""", "group")

# Unpack, make the file system, and leave nothing behind that only the namespace's root can remove.
# Device nodes cannot be made in a user namespace, and the guest gets its own from devtmpfs.
_MAKE_FILE_SYSTEM = """
set -e
archive=$1 tree=$2 disk=$3 size=$4
trap 'rm -rf "$tree"' EXIT
mkdir "$tree"
tar -x -p --numeric-owner --exclude='./dev/*' -f "$archive" -C "$tree"
"$5" -q -t ext4 -d "$tree" -L root -m 0 -O ^has_journal \
    -E lazy_itable_init=0,root_owner=0:0 "$disk" "$size"
"""


def make_root_archive(recipe: Recipe, archive: Path, progress: ProgressSink) -> None:
    """Download and install the recipe's packages into a tar archive."""

    def tell(line: str) -> None:
        for text, fraction in _STEPS:
            if text in line:
                progress(Progress(STAGE, re.sub(r"^I: |\.\.\.$", "", line), fraction))

    options = [f"--dpkgopt=path-exclude={pattern}" for pattern in recipe.excluded]
    command = [
        *_AS_A_GROUP,
        "mmdebstrap",
        "--mode=auto",
        "--variant=apt",
        "--format=tar",
        f"--include={','.join(recipe.include)}",
        *options,
        *archive_options(recipe.kernel),
        recipe.suite,
        str(archive),
    ]
    if os.geteuid() != 0:
        require_namespaces()
    # INITRD=No is understood by Debian's kernel packages: the lab makes its own initramfs.
    run(command, timeout=DOWNLOAD_LIMIT, env={"INITRD": "No"}, on_line=tell)


def archive_options(kernel: Kernel) -> list[str]:
    """Options that add the kernel's archive, if it is not the suite, on the suite's mirror."""
    suite, other = kernel.suite, kernel.archive
    if other in ("", suite):
        return []
    line = f"s/^deb \\(.*\\) {suite} main$/deb \\1 {other} main/p"
    listed, added = '"$1/etc/apt/sources.list"', '"$1/etc/apt/sources.list.d/kernel.list"'
    return [f"--setup-hook=sed -n '{line}' {listed} >{added}"]


def make_root_disk(archive: Path, disk: Path, size: int, progress: ProgressSink) -> None:
    """Turn a root archive into a qcow2 disk with an ext4 file system of `size` bytes."""
    progress(Progress(STAGE, "making the file system", 0.9))
    raw = disk.with_suffix(".raw")
    tree = disk.with_suffix(".tree")
    script = ["sh", "-c", _MAKE_FILE_SYSTEM, "make-root"]
    arguments = [str(archive), str(tree), str(raw), f"{size // 1024}k", find_program("mke2fs")]
    # The files of root are root's.
    as_root = [] if os.geteuid() == 0 else namespace()
    run([*as_root, *script, *arguments], timeout=CONVERT_LIMIT)
    progress(Progress(STAGE, "packing the disk", 0.95))
    run(
        ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(disk)],
        timeout=CONVERT_LIMIT,
    )
    raw.unlink()

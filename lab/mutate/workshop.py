"""Where mutants are built: in the toolbox, on this host, one after the other in one tree.

It has the headers and the compiler of the guests' kernel; a kernel that the lab built brings its
headers along. In a guest the same takes many times as long where processors are emulated, and a
mutant is one changed file. That a module fits the guest is decided by the kernel there, when it is
loaded.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from lab.errors import EnvironmentLack
from lab.image import BuiltKernel, Image, Toolbox
from lab.modbuild import ModuleBuildFailed, source_files
from lab.process import CommandFailed

BUILD_LIMIT = 900.0
_TREE, _MADE, _HEADERS = "tree", "made", "headers"
UNPACK_LIMIT = 300.0
_SCRIPT = (
    "make -j$(nproc) -C {headers} M=/mnt/tree {watched} modules &&"
    " cd /mnt/tree && for ko in *.ko; do strip --strip-debug -o /mnt/made/$ko $ko || exit; done"
)
# /srv is the kernel's folder in the cache.
_UNPACK = "tar -xf /srv/{archive} -C /mnt/headers ./{headers}"


class Workshop:
    """Builds one source tree after the other; for one thread. Only what differs is compiled."""

    def __init__(
        self, toolbox: Toolbox, image: Image, folder: Path, kernel: BuiltKernel | None = None
    ) -> None:
        """`image`: what the modules are for. `folder` is empty, and the workshop's own.

        kernel: that of the image, if the lab built it. EnvironmentLack if the headers are those of
        another kernel.
        """
        self._toolbox = toolbox
        self._folder = folder
        # As in lab.modbuild: not all of such a kernel is watched, the module is.
        watched = "UBSAN_SANITIZE=y" if kernel is not None else ""
        self._script = _SCRIPT.format(headers=self._headers(image, kernel), watched=watched)
        self._there: dict[str, bytes] = {}
        for name in (_TREE, _MADE):
            (folder / name).mkdir()

    def _headers(self, image: Image, kernel: BuiltKernel | None) -> str:
        """Where the headers of an image's kernel are, as the toolbox sees it."""
        release = image.facts.kernel_release
        if kernel is not None:
            return self._unpacked(image, kernel)
        toolbox = self._toolbox
        if not (toolbox.root / "lib/modules" / release / "build").exists():
            raise EnvironmentLack(
                f"the toolbox has no headers of the guest's kernel, {release}",
                f"remove {toolbox.root.parent}, and it is made anew with those of today;"
                " if the image is older, that as well: `blksnap-lab image build`",
            )
        return f"/lib/modules/{release}/build"

    def _unpacked(self, image: Image, kernel: BuiltKernel) -> str:
        release = kernel.facts.release
        if release != image.facts.kernel_release:
            raise EnvironmentLack(
                f"the image has the kernel {image.facts.kernel_release}, and the one that was built"
                f" last is {release}",
                f"remove {image.folder}",
            )
        headers = f"usr/src/linux-headers-{release}"
        (self._folder / _HEADERS).mkdir()
        script = _UNPACK.format(archive=kernel.archive.name, headers=headers)
        self._toolbox.run(self._folder, script, timeout=UNPACK_LIMIT, kept=kernel.folder)
        return f"/mnt/{_HEADERS}/{headers}"

    def build(self, source: Path) -> Path:
        """The folder with the modules of a tree; the next build replaces them.

        Raises ModuleBuildFailed with the compiler's message.
        """
        made = self._folder / _MADE
        for path in made.iterdir():
            path.unlink()
        self._bring(source)
        try:
            self._toolbox.run(self._folder, self._script, timeout=BUILD_LIMIT)
        except CommandFailed as error:
            raise ModuleBuildFailed(source, error.output) from error
        return made

    def _bring(self, source: Path) -> None:
        """Make the tree equal to `source`; what is written is newer than what was built of it."""
        files = {path.relative_to(source).as_posix(): path for path in source_files(source)}
        wanted = {name: path.read_bytes() for name, path in files.items()}
        for name in self._there.keys() - wanted.keys():
            with contextlib.suppress(FileNotFoundError):
                (self._folder / _TREE / name).unlink()
        for name, text in wanted.items():
            if self._there.get(name) != text:
                target = self._folder / _TREE / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(text)
        self._there = wanted

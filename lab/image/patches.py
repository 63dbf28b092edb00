"""The patches that go over the source of a kernel: the series in guest_module/kernel."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lab.data import data_folder
from lab.errors import LabError
from lab.image.kernels import Kernel


@dataclass(frozen=True)
class PatchFile:
    """A patch: the name of its file, by which patches are ordered, and its text."""

    name: str
    text: str


_NEW_SOURCE = re.compile(r"^--- /dev/null\n\+\+\+ b/(\S+)\.c$", re.MULTILINE)


def new_objects(patches: Sequence[PatchFile]) -> tuple[str, ...]:
    """What the sources that patches add are compiled to, as make is asked for it."""
    return tuple(f"{found[1]}.o" for patch in patches for found in _NEW_SOURCE.finditer(patch.text))


def kernel_patches(kernel: Kernel) -> tuple[PatchFile, ...]:
    """The patches of a kernel, in order; none for one that is as Debian has it.

    LabError if there should be some.
    """
    if not kernel.series:
        return ()
    folder = data_folder("guest_module") / "kernel" / kernel.series
    paths = sorted(folder.glob("*.patch"))
    if not paths:
        raise LabError(f"there are no patches in {folder}", "make them: blksnap-lab kernel series")
    return tuple(PatchFile(path.name, path.read_text(encoding="utf-8")) for path in paths)

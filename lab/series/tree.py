"""The files of the driver in a kernel tree, and of which files of the module they are made.

Sources are what Kbuild makes blksnap.o of, and the headers that these include; the hook, which a
patched kernel does not need, is none of them.
"""

import re
from pathlib import Path

from lab.errors import LabError
from lab.series.release import Release, for_release

MAKEFILE, KCONFIG = "Makefile", "Kconfig"
_OBJECTS = re.compile(r"blksnap-(?:y|\$\(CONFIG_\w+\)) \+?:?= .*")
_INCLUDED = re.compile(r'^#include "([^"]+)"', re.MULTILINE)
# REUSE-IgnoreStart
_LICENSE = "# SPDX-License-Identifier: GPL-2.0\n"
# REUSE-IgnoreEnd
_MAKEFILE_HEAD = f"{_LICENSE}\nobj-$(CONFIG_BLK_SNAP) += blksnap.o\n\n"


def driver_files(module: Path, release: Release) -> dict[str, str]:
    """Text by name of all files in the driver's folder. LabError if a source is not there."""
    makefile = driver_makefile(module)
    names = {f"{one}.c" for one in re.findall(r"(\w+)\.o\b", makefile) if one != "blksnap"}
    found: dict[str, str] = {}
    while names:
        name = names.pop()
        found[name] = for_release(source_text(module / name), release)
        names |= set(_INCLUDED.findall(found[name])) - set(found)
    found[MAKEFILE] = makefile
    found[KCONFIG] = _in_tree_kconfig(source_text(module / KCONFIG))
    return dict(sorted(found.items()))


def driver_makefile(module: Path) -> str:
    """What makes the driver in a tree: the objects of Kbuild."""
    text = source_text(module / "Kbuild")
    lines = [line for line in text.splitlines() if _OBJECTS.fullmatch(line)]
    if not lines:
        raise LabError(f"{module / 'Kbuild'} does not say what blksnap.o is made of")
    return _MAKEFILE_HEAD + "".join(f"{line}\n" for line in lines)


def _in_tree_kconfig(text: str) -> str:
    """Its first comment speaks of where it comes from; in the tree there is just a driver."""
    start = text.index("\nconfig ")
    return _LICENSE + text[start:]


def source_text(path: Path) -> str:
    """The text of a file of the module. LabError if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise LabError(f"{path} cannot be read: {error.strerror}") from error

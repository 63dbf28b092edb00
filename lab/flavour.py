"""A flavour: the names under which a build of the module appears, as data.

A vendor's build speaks the same interface (guest_module/include/uapi/linux/blksnap.h) by other
names of modules and nodes. They stand in a file flavour.yaml in its source tree, or in one that the
user names; what is not in it has our module's name.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import yaml

from lab.errors import UsageError

FILE = "flavour.yaml"
# A file that the ctypes library in the guest reads, beside its sources (lab.blksnap.names).
GUEST_FILE = "names.json"
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_PLACEHOLDER = re.compile(r"\{blksnap:(\w+)\}")


@dataclass(frozen=True)
class Flavour:
    """Names of one build.

    module, filter: kernel modules, as files without ".ko" and in /sys/module; the filter is loaded
    first, if there is such a file. node: the control node's path. image: what the names of image
    disks begin with. debugfs: the folder with `memory` and `fail` there, which a build may lack.
    sysfs: the class, /sys/class/NAME. threads, log: what the names of kernel threads, and the lines
    of the kernel log, begin with.
    """

    module: str = "blksnap"
    filter: str = "bdevfilter"
    node: str = "/dev/blksnap"
    image: str = "blksnap-image"
    debugfs: str = "blksnap"
    sysfs: str = "blksnap"
    threads: str = "blksnap"
    log: tuple[str, ...] = ("blksnap", "bdevfilter")

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            for one in value if isinstance(value, tuple) else (value,):
                plain = one.removeprefix("/dev/") if name == "node" else one
                if not _NAME.fullmatch(plain) or (name == "node" and plain == one):
                    wanted = "a path such as /dev/blksnap" if name == "node" else "a plain name"
                    raise UsageError(f"flavour: {name} is {one!r}", f"{wanted}: A-Z a-z 0-9 _ -")

    def guest_file(self) -> bytes:
        """What the ctypes library in the guest is told."""
        told = {"node": self.node, "image": self.image, "debugfs": self.debugfs}
        return json.dumps(told).encode()

    def filled_in(self, text: str) -> str:
        """`text` with {blksnap:NAME}, e.g. {blksnap:node}, replaced by the name."""
        return _PLACEHOLDER.sub(lambda match: str(getattr(self, match[1])), text)


def placeholders(text: str) -> list[str]:
    """The names in {blksnap:NAME} in a text that there are none of."""
    known = {field.name for field in fields(Flavour) if field.name != "log"}
    return [name for name in _PLACEHOLDER.findall(text) if name not in known]


def read_flavour(path: Path) -> Flavour:
    """The flavour in a file. UsageError, naming all that is wrong, if it cannot be understood."""
    try:
        # All values are words to this loader, also one that looks like a date or a number.
        loaded = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UsageError(
            f"the flavour {path} cannot be read: {why}", "docs/other-modules.md shows such a file"
        ) from error
    known = {field.name for field in fields(Flavour)}
    if not isinstance(loaded, dict) or not loaded:
        raise UsageError(f"{path} has no names", f"some of: {', '.join(sorted(known))}")
    wrong = [f"unknown key `{key}`" for key in loaded if key not in known]
    wrong += [
        f"`{key}` is no {'list of names' if key == 'log' else 'name'}"
        for key, value in loaded.items()
        if key in known and not _fits(key, value)
    ]
    if wrong:
        raise UsageError(f"{path}: {'; '.join(wrong)}", f"known are: {', '.join(sorted(known))}")
    if "log" in loaded:
        loaded["log"] = tuple(loaded["log"])
    return Flavour(**loaded)


def _fits(key: str, value: object) -> bool:
    if key == "log":
        return isinstance(value, list) and bool(value) and all(isinstance(v, str) for v in value)
    return isinstance(value, str)


def flavour_of(module: Path | None, named: Path | None) -> Flavour:
    """The flavour that the user names, else that of a folder of sources or modules, else ours."""
    if named is not None:
        return read_flavour(named)
    if module is not None and (module / FILE).is_file():
        return read_flavour(module / FILE)
    return Flavour()

"""Where in a guest the sections of its kernel modules are, as gdb has to be told.

A kernel that has panicked cannot be asked any more: what it said when the modules were loaded is
kept beside it, in the file FILE.
"""

import re
from collections.abc import Iterable

FILE = "sections.txt"
_FIRST = ".text"
"""The section whose address gdb wants by itself."""
# Where functions and data are; of what has no address gdb thinks that it is at 0. But for .init.*,
# which is gone once the module is loaded: the next module may lie there.
_WORTH = re.compile(r"\.(?:text|data|bss|rodata|exit|noinstr|ref|static_call)\b")
_LINE = re.compile(r"^/sys/module/([^/]+)/sections/(\S+):(0x[0-9a-f]+)$", re.MULTILINE)


def question(modules: Iterable[str]) -> str:
    """The command of a shell, run as root, that tells; nothing of modules that are not loaded."""
    files = " ".join(f"/sys/module/{name.replace('-', '_')}/sections/.*" for name in modules)
    return f"grep -sH -d skip . {files}; true"


def symbol_options(told: str, module: str) -> str:
    """What follows the file in gdb's add-symbol-file, empty if the module is not loaded."""
    lines = _LINE.findall(told)
    found = {section: place for name, section, place in lines if name == module.replace("-", "_")}
    if _FIRST not in found:
        return ""
    others = [name for name in sorted(found) if name != _FIRST and _WORTH.match(name)]
    return "".join([f" {found[_FIRST]}", *(f" -s {name} {found[name]}" for name in others)])

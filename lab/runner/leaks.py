"""Memory of the module that nothing points to any more, as the kernel's kmemleak finds it.

A debug kernel notes every allocation, and looks for pointers to it in all memory when it is asked
to (Documentation/dev-tools/kmemleak.rst). It reports an object that it did not find in two scans,
both of them later than some seconds after the allocation.
"""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Mapping, Sequence

from lab.errors import LabError
from lab.guest.channel import AgentFailure
from lab.runner.context import Context
from lab.runner.failures import StepFailed
from lab.runner.klog import SplatKind

KMEMLEAK = "/sys/kernel/debug/kmemleak"
GROWN = 5.5
"""Seconds that an object must be old; the kernel takes no younger one for lost."""
SCAN_LIMIT = 120.0
MODULES = "/proc/modules"
_MODULE = re.compile(r" \[([-\w]+)\]$")
_NAMELESS = re.compile(r"^\s*\[<[0-9a-f]+>\] 0x([0-9a-f]+)$")
READ_LIMIT = 200_000


def check(context: Context) -> Mapping[str, object]:
    """Nothing that the module allocated is lost: nor by its exit, nor because only its own data
    pointed to it. To be made when it has gone, or holds nothing.

    What others lost is not our business, and its mention in the log is taken back. Without
    kmemleak nothing is checked; a debug kernel without it is an error of the lab.
    """
    if not _exists(context):
        return {"checked": False}
    _scan(context)
    time.sleep(GROWN)
    _scan(context)
    args = {"path": KMEMLEAK, "limit": READ_LIMIT}
    lost = records(str(context.request("read_file", args)["text"]))
    context.log.poll(context.guest)
    context.log.forget(SplatKind.KMEMLEAK)
    names = (context.flavour.module, context.flavour.filter)
    ours = [record for record in lost if is_of(record, names, context.code)]
    if ours:
        lines = [line for record in ours for line in record]
        raise StepFailed(f"kmemleak: the module lost {len(ours)} objects: {ours[0][0]}", lines)
    return {"checked": True, "lost by others": len(lost)}


def note_code(context: Context) -> None:
    """Remember where the module's code is now: when it has gone its functions have no names."""
    text = str(context.request("read_file", {"path": MODULES})["text"])
    context.code += code_of(text, (context.flavour.module, context.flavour.filter))


def code_of(text: str, modules: Sequence[str]) -> list[range]:
    """The addresses of modules, of what /proc/modules says (kernel/module/procfs.c)."""
    lines = [line.split() for line in text.splitlines()]
    return [
        range(int(words[5], 16), int(words[5], 16) + int(words[1]))
        for words in lines
        if len(words) > 5 and words[0] in modules
    ]


def is_of(record: Sequence[str], modules: Sequence[str], code: Sequence[range] = ()) -> bool:
    """Whether code of these modules, which is or was there, is in a report's backtrace.

    Other code that is not there any more, of some module that was unloaded or of any module's
    beginning, counts as theirs too, unless the report names another module.
    """
    named = {found[1] for line in record if (found := _MODULE.search(line))}
    nameless = [int(found[1], 16) for line in record if (found := _NAMELESS.search(line))]
    if any(address in place for address in nameless for place in code):
        return True
    return not named.isdisjoint(modules) if named else bool(nameless)


def records(text: str) -> list[tuple[str, ...]]:
    """The reports in what kmemleak says, each its lines."""
    found: list[list[str]] = []
    for line in text.splitlines():
        if line.startswith("unreferenced object "):
            found.append([])
        if found:
            found[-1].append(line)
    return [tuple(lines) for lines in found]


def _exists(context: Context) -> bool:
    try:
        context.request("read_file", {"path": KMEMLEAK, "limit": 1})
    except AgentFailure as error:
        if error.errno != errno.ENOENT:
            raise
        if context.kernel.is_debug:
            raise LabError(
                f"the debug kernel has no {KMEMLEAK}: nothing was asked for lost memory",
                "see CONFIG_DEBUG_KMEMLEAK, and what the kernel log says of kmemleak",
            ) from error
        return False
    return True


def _scan(context: Context) -> None:
    """Have it look; it answers when it has looked."""
    context.request("write_file", {"path": KMEMLEAK, "text": "scan"}, SCAN_LIMIT)

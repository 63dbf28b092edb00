"""An operation of which one allocation in the kernel fails.

By /proc/thread-self/fail-nth of the kernel's fault injection
(Documentation/fault-injection/fault-injection.rst): the n-th allocation that this thread makes
from then on fails, whoever makes it, and no other. It needs a debug kernel.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from lab.agent.registry import Result, find, operation

_FAIL_NTH = "/proc/thread-self/fail-nth"
_DEBUGFS = Path("/sys/kernel/debug")
# All that is asked for can fail, single pages too, and the log does not show each failure.
_SETTINGS = {
    "failslab": {"ignore-gfp-wait": "N", "verbose": "0"},
    "fail_page_alloc": {"ignore-gfp-wait": "N", "min-order": "0", "verbose": "0"},
}


@operation
def starved(op: str, args: dict[str, Any], nth: int) -> Result:
    """Do an operation whose nth allocation fails; its result, or its error.

    left: allocations that it would have had to make more to get there; 0: one has failed.
    """
    _set_up()
    found = find(op)
    fd = os.open(_FAIL_NTH, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.pwrite(fd, str(nth).encode(), 0)
        try:
            result = found.run(args)
        finally:
            left = int(os.pread(fd, 32, 0))
            os.pwrite(fd, b"0", 0)
    finally:
        os.close(fd)
    return {"result": result, "left": left}


def _set_up() -> None:
    for folder, settings in _SETTINGS.items():
        for name, value in settings.items():
            (_DEBUGFS / folder / name).write_text(value, encoding="ascii")

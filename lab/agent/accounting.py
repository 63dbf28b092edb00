"""What blksnap accounts for, read from debugfs."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

from lab.agent.syscalls import LIBC, os_error
from lab.blksnap.names import NAMES

_DEBUGFS = Path("/sys/kernel/debug")


def counted_memory() -> dict[str, tuple[int, int]]:
    """blksnap's accounting, (objects, bytes) by kind. OSError ENOENT if there is none."""
    counters = {}
    for line in in_debugfs(f"{NAMES.debugfs}/memory").read_text(encoding="ascii").splitlines():
        fields = line.split()
        if len(fields) == 3:
            counters[fields[0]] = (int(fields[1]), int(fields[2]))
    return counters


def in_debugfs(name: str) -> Path:
    """The path of a file in debugfs, which is mounted if the file is not there."""
    path = _DEBUGFS / name
    if not path.exists():
        _mount_debugfs()
    return path


def _mount_debugfs() -> None:
    if os.path.ismount(_DEBUGFS):
        return
    if LIBC.mount(b"debugfs", str(_DEBUGFS).encode(), b"debugfs", 0, None) != 0:
        number = ctypes.get_errno()
        if number != errno.EBUSY:
            raise os_error(number, f"mounting {_DEBUGFS}")

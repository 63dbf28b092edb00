"""File systems: making, mounting, freezing."""

from __future__ import annotations

import ctypes
import fcntl
import os
from pathlib import Path
from typing import Optional

from lab.agent.block.device import FIFREEZE, FITHAW, opened
from lab.agent.processes import need
from lab.agent.registry import Result, operation
from lab.agent.syscalls import LIBC, os_error

# What makes each mkfs go ahead on a device that held something before, quietly.
_FORCE = {"ext4": ["-F", "-q"], "xfs": ["-f", "-q"], "btrfs": ["-f", "-q"], "f2fs": ["-f", "-q"]}


@operation
def mkfs(
    device: str, fs: str, options: Optional[list[str]] = None, timeout: float = 300.0
) -> Result:
    """mkfs.<fs> with options (a list of words) on the device."""
    need([f"mkfs.{fs}", *_FORCE.get(fs, []), *(options or []), device], timeout=timeout)
    return {}


@operation
def mount(
    device: str,
    path: str,
    fs: Optional[str] = None,
    options: str = "",
    timeout: float = 60.0,
) -> Result:
    """mount(8) with options as after -o; the mount point is made."""
    Path(path).mkdir(parents=True, exist_ok=True)
    kind = [] if fs is None else ["-t", fs]
    chosen = ["-o", options] if options else []
    need(["mount", *kind, *chosen, device, path], timeout=timeout)
    return {}


@operation
def umount(path: str) -> Result:
    """umount2(2). OSError EBUSY when it is in use."""
    if LIBC.umount2(os.fsencode(path), 0) != 0:
        raise os_error(ctypes.get_errno(), f"unmounting {path}")
    return {}


@operation
def fsfreeze(path: str, thaw: bool = False) -> Result:
    """FIFREEZE or FITHAW of the file system mounted at `path`."""
    with opened(path, os.O_RDONLY) as fd:
        fcntl.ioctl(fd, FITHAW if thaw else FIFREEZE, 0)
    return {}


@operation
def sync() -> Result:
    """sync(2)."""
    os.sync()
    return {}

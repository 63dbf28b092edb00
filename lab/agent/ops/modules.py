"""Kernel modules: load, unload, look at; the memory accounting of blksnap, its coverage."""

from __future__ import annotations

import base64
import ctypes
import errno
import os
import threading
import zlib
from pathlib import Path
from typing import Any, Optional

from lab.agent.accounting import counted_memory, in_debugfs
from lab.agent.registry import Result, operation
from lab.agent.syscalls import os_error, syscall

_DELETE_MODULE, _FINIT_MODULE = 176, 313


@operation
def module_load(path: str, params: Optional[dict[str, Any]] = None) -> Result:
    """finit_module(2). params: values as the kernel reads them; true and false as 1 and 0."""
    text = " ".join(f"{key}={_value(value)}" for key, value in (params or {}).items())
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        syscall(_FINIT_MODULE, fd, ctypes.c_char_p(text.encode()), 0)
    except OSError as error:
        raise os_error(error.errno or 0, f"loading {path}") from None
    finally:
        os.close(fd)
    return {}


@operation
def module_unload(name: str, timeout: float = 60.0) -> Result:
    """delete_module(2), which does not wait for users: EBUSY if there are any.

    The kernel itself says EAGAIN for a module in use; people know that as EBUSY. ETIMEDOUT if the
    module's own clean-up takes longer than `timeout` s (it goes on all the same).
    """
    failed: list[OSError] = []

    def delete() -> None:
        try:
            syscall(_DELETE_MODULE, ctypes.c_char_p(name.encode()), os.O_NONBLOCK)
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=delete, name=f"unload {name}", daemon=True)
    thread.start()
    thread.join(timeout)
    if thread.is_alive():
        raise os_error(errno.ETIMEDOUT, f"{name} still unloads after {timeout} s")
    if failed:
        number = failed[0].errno or 0
        info = _info(name)
        raise os_error(
            errno.EBUSY if number == errno.EAGAIN else number,
            f"unloading {name} (users: {info['refcount']})",
        )
    return {}


@operation
def module_info(name: str) -> Result:
    """Whether it is loaded, and by how many it is used."""
    return _info(name)


@operation
def module_param(name: str, param: str, value: Any) -> Result:
    """Write a parameter of a loaded module. OSError as the module answers."""
    path = f"/sys/module/{name}/parameters/{param}"
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, _value(value).encode())
    finally:
        os.close(fd)
    return {}


@operation
def memory_counters() -> Result:
    """blksnap's accounting: {kind: [objects, bytes]}; debugfs is mounted if it is not."""
    return {"counters": {kind: list(pair) for kind, pair in counted_memory().items()}}


@operation
def coverage() -> Result:
    """What the module blksnap_coverage shows in debugfs, deflated."""
    content = in_debugfs("blksnap_coverage").read_bytes()
    return {"deflated": base64.b64encode(zlib.compress(content)).decode()}


def _info(name: str) -> dict[str, Any]:
    folder = Path("/sys/module") / name
    state = folder / "initstate"
    if not state.exists():  # Built into the kernel, or not there at all.
        return {"loaded": False, "refcount": 0}
    refcount = int((folder / "refcnt").read_text(encoding="ascii"))
    return {"loaded": True, "refcount": refcount}


def _value(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)

"""Making and removing stacked devices."""

from __future__ import annotations

import importlib
import pkgutil
import threading
from typing import Any

from lab.agent import stacks
from lab.agent.registry import Result, operation
from lab.agent.stacks.base import Stack, kind_of
from lab.agent.typed import checked
from lab.errors import UsageError

for _module in pkgutil.iter_modules(stacks.__path__):
    importlib.import_module(f"{stacks.__name__}.{_module.name}")

_made: dict[str, Stack] = {}
_lock = threading.Lock()


@operation
def stack_create(name: str, kind: str, **arguments: Any) -> Result:
    """Make a device under a name; the other arguments are the kind's."""
    found = kind_of(kind)
    checked_arguments = checked(found.__init__, {**arguments, "name": name}, f"stack_create {kind}")
    stack = found(**checked_arguments)
    with _lock:
        if name in _made:
            raise UsageError(f"stack_create: there is a stack {name!r} already")
        _made[name] = stack
    try:
        stack.create()
    except BaseException:
        with _lock:
            del _made[name]
        raise
    return {"path": stack.path}


@operation
def stack_resize(name: str, size: int) -> Result:
    """Give a device another size, in bytes."""
    _find("stack_resize", name).resize(size)
    return {}


@operation
def stack_remove(name: str) -> Result:
    """Take a device apart. EBUSY, or what the tool says, while it is in use; it stays then."""
    _find("stack_remove", name).remove()
    with _lock:
        _made.pop(name, None)
    return {}


def _find(operation_name: str, name: str) -> Stack:
    with _lock:
        stack = _made.get(name)
    if stack is None:
        raise UsageError(f"{operation_name}: no stack is called {name!r}")
    return stack

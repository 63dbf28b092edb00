"""Starting, watching and stopping background activities."""

from __future__ import annotations

import importlib
import pkgutil
import threading
from typing import Any

from lab.agent import loads
from lab.agent.loads.base import Load, kind_of
from lab.agent.registry import Result, operation
from lab.agent.typed import checked
from lab.errors import UsageError

for _module in pkgutil.iter_modules(loads.__path__):
    importlib.import_module(f"{loads.__name__}.{_module.name}")

_running: dict[str, Load] = {}
_ended: dict[str, Load] = {}
_lock = threading.Lock()


@operation
def load_start(name: str, kind: str, **arguments: Any) -> Result:
    """Start an activity under a name; the other arguments are the kind's."""
    found = kind_of(kind)
    load = found(**checked(found.__init__, arguments, f"load_start {kind}"))
    with _lock:
        if name in _running:
            raise UsageError(f"load_start: there is a load {name!r} already")
        _running[name] = load
        _ended.pop(name, None)
    try:
        load.begin()
    except BaseException:
        with _lock:
            del _running[name]
        raise
    return {}


@operation
def load_poll(name: str, start: int = 0) -> Result:
    """The report so far, also of a load that was stopped; `start`: page of a paged one."""
    return _find(name).full_report(start)


@operation
def load_stop(name: str, timeout: float = 60.0, start: int = 0) -> Result:
    """Stop it and wait until it has ended; the report. ETIMEDOUT: not yet, ask again."""
    load = _find(name)
    load.end(timeout)
    with _lock:
        _running.pop(name, None)
        _ended[name] = load
    return {"report": load.full_report(start)}


def _find(name: str) -> Load:
    with _lock:
        load = _running.get(name) or _ended.get(name)
    if load is None:
        raise UsageError(f"no load is called {name!r}")
    return load

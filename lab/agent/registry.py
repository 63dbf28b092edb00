"""The operations of the agent: a function becomes one by the @operation decorator.

The function's name is the operation's name, its parameters are the arguments, by keyword and with
annotations that lab.agent.typed understands; what it returns is the result (None: an empty one).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable, Optional, TypeVar

from lab.agent.typed import checked
from lab.errors import UsageError

Result = Optional[Mapping[str, Any]]
Function = TypeVar("Function", bound=Callable[..., Result])


@dataclass(frozen=True)
class Operation:
    """One operation. at_once: it never blocks, so nobody else need wait for requests meanwhile."""

    name: str
    function: Callable[..., Result]
    at_once: bool = False

    def run(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        """Check the arguments and do it. UsageError for bad arguments, else what it raises."""
        return self.function(**checked(self.function, args, self.name)) or {}


OPERATIONS: dict[str, Operation] = {}


def operation(function: Function) -> Function:
    """Make `function` an operation, done while others are."""
    return _register(function, at_once=False)


def at_once(function: Function) -> Function:
    """Make `function` an operation that is done at once by whoever receives the request."""
    return _register(function, at_once=True)


def find(name: str) -> Operation:
    """The operation of that name. UsageError if there is none."""
    try:
        return OPERATIONS[name]
    except KeyError:
        raise UsageError(f"no operation {name!r}", "one of " + ", ".join(OPERATIONS)) from None


def _register(function: Function, *, at_once: bool) -> Function:
    name = function.__name__
    if name in OPERATIONS:
        raise ValueError(f"two operations are called {name}")
    OPERATIONS[name] = Operation(name, function, at_once)
    return function

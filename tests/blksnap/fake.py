"""A control node without a module: answers ioctls from a script, and keeps what was asked."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from lab.blksnap.errors import BlksnapError
from lab.blksnap.node import Node, operation_name

Handler = Callable[[Any], int]


class FakeNode(Node):
    """Each operation is a function that fills in the structure and returns the ioctl's result."""

    def __init__(self, **handlers: Handler) -> None:
        self.handlers = handlers
        self.calls: list[str] = []

    def ioctl(self, request: int, argument: ctypes.Structure, subject: str | None = None) -> int:
        name = operation_name(request)
        self.calls.append(name)
        try:
            return self.handlers[name](argument)
        except OSError as error:
            raise BlksnapError(name, error.errno or 0, subject) from None

    def close(self) -> None:
        self.calls.append("close")


def array_at(address: int | None, kind: Any, count: int) -> Any:
    """The caller's array, as the module sees it."""
    assert address is not None
    return (kind * count).from_address(address)

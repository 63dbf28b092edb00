"""What all stacked devices have in common."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

from lab.agent.processes import need
from lab.errors import UsageError
from lab.units import SECTOR

CONFIGFS = Path("/sys/kernel/config")
_NODE_S = 10.0
_POLL_S = 0.005


class Stack(ABC):
    """A stacked device. create() makes it and sets `path`; remove() takes it apart.

    A create() that fails leaves nothing behind.
    """

    path: str = ""

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def create(self) -> None:
        """Make the device; OSError or CommandFailed if that cannot be."""

    @abstractmethod
    def remove(self) -> None:
        """Take it apart; EBUSY or CommandFailed while it is in use."""

    def resize(self, size: int) -> None:
        """Give it another size, in bytes. UsageError if that is not for its kind."""
        raise UsageError(f"{self.name} cannot get another size ({size})")


KINDS: dict[str, type[Stack]] = {}


def stack_kind(name: str) -> Callable[[type[Stack]], type[Stack]]:
    """Class decorator: make a Stack known by a name. Its __init__ parameters are its arguments."""

    def register(kind: type[Stack]) -> type[Stack]:
        KINDS[name] = kind
        return kind

    return register


def kind_of(name: str) -> type[Stack]:
    """The class of that name. UsageError if there is none."""
    try:
        return KINDS[name]
    except KeyError:
        raise UsageError(f"no kind of stack is {name!r}", "one of " + ", ".join(KINDS)) from None


def sectors(name: str, size: int) -> int:
    """Bytes as whole sectors. UsageError naming the argument if they are not whole."""
    if size < 0 or size % SECTOR:
        raise UsageError(f"{name} {size} is no whole number of sectors")
    return size // SECTOR


def mount_configfs() -> None:
    """Where it always is, if it is not."""
    if not os.path.ismount(CONFIGFS):
        need(["mount", "-t", "configfs", "none", str(CONFIGFS)])


def wait_node(path: str) -> None:
    """Wait until a node is there. OSError ETIMEDOUT after 10 s."""
    _wait_for(f"{path} did not appear", Path(path).exists)


def wait_size(name: str) -> None:
    """Wait until a disk, such as "nbd0", has a size. OSError ETIMEDOUT after 10 s."""
    size = Path(f"/sys/block/{name}/size")
    _wait_for(f"{name} did not get a size", lambda: int(size.read_text()) > 0)


def _wait_for(otherwise: str, test: Callable[[], bool]) -> None:
    end = time.monotonic() + _NODE_S
    while not test():
        if time.monotonic() > end:
            raise TimeoutError(errno.ETIMEDOUT, f"{otherwise} in {_NODE_S} s")
        time.sleep(_POLL_S)


@contextlib.contextmanager
def undone(remove: Callable[[], None]) -> Iterator[None]:
    """Call `remove` if the block fails, whatever remove makes of it."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(Exception):
            remove()
        raise

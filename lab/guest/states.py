"""The states of a machine, the guard of its methods, and how a machine fails to start.

LabError
 ├─ LaunchFailed       QEMU did not come up: command, exit status, output
 └─ MachineStateError  the machine is not in a state in which this can be done
"""

import functools
import shlex
from collections.abc import Callable
from enum import StrEnum
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from lab.errors import LabError

P = ParamSpec("P")
R = TypeVar("R")
M = TypeVar("M", bound="Stateful")


class MachineState(StrEnum):
    """Where a machine is in its life; only forward."""

    NEW = "new"
    RUNNING = "running"
    PANICKED = "panicked"
    EXITED = "exited"


class Ending(StrEnum):
    """How a machine was brought to its end."""

    SOFT = "soft"
    HARD = "hard"
    ALREADY = "already ended"


class LaunchFailed(LabError):  # noqa: N818
    """QEMU did not come up. `status` is its exit status, None if it had to be killed."""

    def __init__(self, command: list[str], status: int | None, output: str) -> None:
        ended = "did not answer" if status is None else f"ended with status {status}"
        super().__init__(f"QEMU {ended}: {output.strip() or 'no output'}\n  {shlex.join(command)}")
        self.command = tuple(command)
        self.status = status
        self.output = output


class MachineStateError(LabError):
    """A method was called that needs the machine in another state."""


class Stateful(Protocol):
    """What has a state, and words for it."""

    @property
    def state(self) -> MachineState: ...
    def describe(self) -> str: ...


def require(
    *states: MachineState,
) -> Callable[[Callable[Concatenate[M, P], R]], Callable[Concatenate[M, P], R]]:
    """Guard of a public method: MachineStateError unless the machine is in one of the states."""

    def guard(
        method: Callable[Concatenate[M, P], R],
    ) -> Callable[Concatenate[M, P], R]:
        @functools.wraps(method)
        def guarded(machine: M, /, *args: P.args, **kwargs: P.kwargs) -> R:
            if machine.state not in states:
                wanted = " or ".join(states)
                raise MachineStateError(
                    f"{method.__name__} needs a machine that is {wanted}; "
                    f"this one is {machine.describe()}"
                )
            return method(machine, *args, **kwargs)

        return guarded

    return guard

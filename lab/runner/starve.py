"""A request of which one allocation in the guest's kernel fails."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from lab.guest.channel import AgentFailure
from lab.runner.failures import StepFailed, describe
from lab.scenario.step import STARVED

if TYPE_CHECKING:
    from lab.runner.context import Context

MOST_ALLOCATIONS = 2000
"""No command makes so many; one that does never ends."""


@dataclass
class Starved:
    """The next request for this operation of the agent is to fail at its `nth` allocation.

    left: how many allocations more it would have had to make for that, 0 if it happened; None as
    long as no command has answered.
    """

    op: str
    nth: int
    left: int | None = None
    used: bool = False

    def takes(self, op: str) -> bool:
        """Whether this is the request that is meant."""
        return op == self.op and not self.used

    def wrapped(self, op: str, args: Mapping[str, object]) -> dict[str, object]:
        """The arguments of the agent's operation `starved` that does it."""
        self.used = True
        return {"op": op, "args": dict(args), "nth": self.nth}

    def unwrapped(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        """The command's own answer."""
        self.left = int(answer["left"])
        result: dict[str, Any] = answer["result"]
        return result


class Outcome(StrEnum):
    """What became of a command whose nth allocation was to fail."""

    FAILED = "failed"
    BORNE = "succeeded all the same"
    ENDED = "made no more allocations"


def starved(context: Context, verb: str, nth: int, do: Callable[[], object]) -> Outcome:
    """Do a step of this verb whose command gets no memory at its nth allocation.

    StepFailed if it fails with anything but ENOMEM.
    """
    context.starved = order = Starved(STARVED[verb], nth)
    try:
        do()
    except AgentFailure as error:
        # Python has no errno for memory that it does not get for itself.
        if error.errno != errno.ENOMEM and "MemoryError" not in error.message:
            what = f"at its allocation {nth} it must fail with ENOMEM, but: {describe(error)}"
            raise StepFailed(what) from error
        return Outcome.FAILED
    finally:
        context.starved = None
    if order.left is None:
        raise StepFailed("it gave no command that could have been starved")
    return Outcome.ENDED if order.left else Outcome.BORNE

"""What each verb of the scenario language does: one function per verb, grouped by subject.

An executor asks the agent, tells the model what succeeded, compares what is to be compared, and
returns what the report shall show. It raises StepFailed, AgentFailure, ChannelTimeout, GuestLost.
"""

from __future__ import annotations

from lab.runner.context import Executor
from lab.runner.verbs import (
    cbt,
    events,
    filesystem,
    io,
    loads,
    machine,
    measure,
    module,
    order,
    power,
    probe,
    snapshot,
    stacked,
    storage,
)
from lab.scenario.step import NESTING, VERBS

EXECUTORS: dict[str, Executor] = {
    **io.EXECUTORS,
    **filesystem.EXECUTORS,
    **snapshot.EXECUTORS,
    **storage.EXECUTORS,
    **events.EXECUTORS,
    **cbt.EXECUTORS,
    **loads.EXECUTORS,
    **order.EXECUTORS,
    **module.EXECUTORS,
    **stacked.EXECUTORS,
    **machine.EXECUTORS,
    **power.EXECUTORS,
    **probe.EXECUTORS,
    **measure.EXECUTORS,
}

# The stepper does the verbs that hold other steps itself.
_missing = set(VERBS) - set(EXECUTORS) - NESTING
assert not _missing, f"verbs without an executor: {sorted(_missing)}"

"""What cannot be recorded, told before anything is started."""

import itertools
from collections.abc import Iterator

from pydantic import BaseModel

from lab.errors import UsageError
from lab.scenario.scenario import Scenario
from lab.scenario.step import Step

# What is done from outside to a machine that a replay does not repeat.
_FROM_OUTSIDE = {
    "power_cut": "cuts the power",
    "boot": "boots again",
    "reboot": "boots again",
    "resize": "changes the size of a disk",
    "unplug": "pulls a disk",
    "plug": "plugs a disk in",
}


def refuse(scenario: Scenario, coverage: bool = False) -> None:
    """UsageError, with the reason, if QEMU cannot record a scenario so that it can be replayed."""
    reason = _reason(scenario, coverage)
    if reason:
        raise UsageError(
            f"{scenario.name} cannot be recorded: {reason}",
            "`blksnap-lab run --keep-failed` and `blksnap-lab gdb --kept` work for all",
        )


def _reason(scenario: Scenario, coverage: bool) -> str:
    if scenario.fail_each is not None:
        return "it is many runs, each with another failed I/O (`fail_each`)"
    if coverage:
        return "its module counts its branches (--coverage)"
    return next(itertools.chain(_of_steps(scenario), _of_disks(scenario)), "")


def _of_steps(scenario: Scenario) -> Iterator[str]:
    for step in _steps(scenario.steps):
        if step.verb in _FROM_OUTSIDE:
            yield f"`{step.verb}` {_FROM_OUTSIDE[step.verb]}, which is beyond recording"


def _of_disks(scenario: Scenario) -> Iterator[str]:
    for name, disk in scenario.disks.items():
        if disk.log:
            yield f"disk {name} is logged below the machine (`log`)"
        if not disk.discard:
            yield f"disk {name} has to be plugged in (`discard: false`)"


def _steps(found: object) -> Iterator[Step]:
    """All steps in a value, also those within steps."""
    if isinstance(found, Step):
        yield found
    if isinstance(found, BaseModel):
        for name in type(found).model_fields:
            yield from _steps(getattr(found, name))
    elif isinstance(found, tuple | list):
        for one in found:
            yield from _steps(one)

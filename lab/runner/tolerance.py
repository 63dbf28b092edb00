"""What a step may do when an I/O that it needs has been made to fail.

write of an original       only the writer's own I/O, a write to that disk or a flush of it, may
                           make it fail, and then it must: nobody may swallow the error
write into an image,       may fail as soon as the fault has happened
take, create ...           (take must then work at the second try: K27)
read of an image           right or EIO, never anything else
read of an original        may fail once, if a read of that disk was the fault
destroy                    before it, events of images that the fault spoiled are taken; then the
                           comparison is strict: an image with an event gives EIO everywhere,
                           one without is right everywhere (K18, K21)
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping

from lab.guest.channel import AgentFailure
from lab.runner.context import Context
from lab.runner.failures import StepFailed
from lab.runner.verbs import events
from lab.scenario import steps_io as io
from lab.scenario import steps_snapshot as snap
from lab.scenario.step import Action, Step
from lab.tap.record import Io, Op

Detail = Mapping[str, object]
Work = Callable[[Action], Detail]


def do(context: Context, step: Step, work: Work) -> Detail:
    """Do a step in a run in which an I/O fails."""
    assert context.tap is not None  # the caller saw it
    assert context.tap.fault is not None
    fault, action, before = context.tap.fault, step.action, context.tap.hit
    if isinstance(action, io.ReadImage):
        lenient = {"expect": io.ImageExpect.MODEL_OR_EIO}
        return work(action.model_copy(update=lenient))
    if isinstance(action, snap.Destroy):
        take_events(context, action.snapshot, fault)
    try:
        detail = work(action)
    except StepFailed:
        # What cannot be read is a sector with an error, which differs from what it should hold.
        now = context.tap.hit and not before
        if not isinstance(action, io.Read) or not _may_fail(action, fault, now=now):
            raise
        context.consequences.append(f"{step.verb}: EIO")
        return _after_failure(context, action, work)
    except AgentFailure as error:
        if error.errno != errno.EIO or not context.tap.hit:
            raise
        if not _may_fail(action, fault, now=not before):
            raise StepFailed(f"{step.verb} failed though only this did: {fault}") from error
        context.consequences.append(f"{step.verb}: EIO")
        return _after_failure(context, action, work)
    if not before and context.tap.hit and _is_own(action, fault):
        raise StepFailed(f"{step.verb} succeeded, though its own I/O failed: {fault}")
    return detail


def _is_own(action: Action, fault: Io) -> bool:
    """Whether the fault can only have been an I/O of the step itself: the module neither writes to
    an original nor flushes it."""
    own = (Op.WRITE, Op.FLUSH)
    return type(action) is io.Write and fault.disk == action.device and fault.op in own


def _may_fail(action: Action, fault: Io, *, now: bool) -> bool:
    """now: the fault happened during this step."""
    if type(action) is io.Write:
        return now and _is_own(action, fault)
    if isinstance(action, io.Read):
        return now and (fault.disk, fault.op) == (action.device, Op.READ)
    return True


def _after_failure(context: Context, action: Action, work: Work) -> Detail:
    """What must be after a step that was allowed to fail."""
    if isinstance(action, io.WriteImage):
        # Each sector holds the old or the new; which, nobody told the model.
        context.model.image_mounted(action.snapshot, action.device)
        return {"failed": "EIO"}
    if isinstance(action, io.Write):
        return {"failed": "EIO"}
    return {"second try": dict(work(action))}


def take_events(context: Context, name: str, fault: Io) -> None:
    """Take the events of a snapshot. StepFailed for one that the fault does not explain."""
    living = context.snapshots.get(name)
    if living is None or not living.taken:
        return
    for event in events.drain(context, living):
        if event.kind != snap.EventKind.CORRUPTED:
            continue
        assert context.tap is not None
        if not context.tap.hit or event.number != errno.EIO or not _explains(fault, event.device):
            raise StepFailed(f"{event}, which {fault} does not explain")
        context.consequences.append(str(event))
    events.claim(context, name)
    for device in living.images:
        state = "spoiled" if context.model.is_spoiled(name, device) else "right"
        context.consequences.append(f"image of {device} {state}")


def _explains(fault: Io, device: str) -> bool:
    """Whether a fault may spoil the image of a device: its own reads, and all of the storage."""
    return fault.disk != device or fault.op is Op.READ

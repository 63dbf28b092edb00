"""What a step may do when an I/O that it needs has been made to fail.

write of an original       only the writer's own I/O, a write to that disk or a flush of it, may
                           make it fail, and then it must: nobody may swallow the error
write into an image        may fail if the fault happens meanwhile and was a read of the original or
                           an I/O to the snapshot's storage: each sector of it is then old or new;
                           later only if the fault has spoiled the image
take, create ...           may fail as soon as the fault has happened (take must then work at the
                           second try: K27)
read of an image           right; or EIO if the fault has happened and may have spoiled it, or was
                           an I/O of the read; never anything else
read of an original        may fail once, if a read of that disk was the fault
any read                   fails once only, without a finding, where that is so; the table says it
destroy                    before it, events of images that the fault spoiled are taken: it was a
                           read of that original or an I/O to that snapshot's storage; then the
                           comparison is strict: an image with an event gives EIO everywhere,
                           one without is right everywhere (K18, K21)
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping

from lab.guest.channel import AgentFailure
from lab.runner import explained
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
        return _read_image(context, action, work)
    if isinstance(action, snap.Destroy | io.WriteImage):
        take_events(context, action.snapshot, fault)
    if isinstance(action, snap.Destroy):
        _tell_images(context, action.snapshot)
    try:
        detail = work(action)
    except StepFailed:
        # What cannot be read is a sector with an error, which differs from what it should hold.
        now = context.tap.hit and not before
        if not isinstance(action, io.Read) or not _may_fail(context, action, now=now):
            raise
        context.consequences.append(f"{step.verb}: EIO")
        return _after_failure(action, work)
    except AgentFailure as error:
        if error.errno != errno.EIO or not context.tap.hit:
            raise
        if not _may_fail(context, action, now=not before):
            raise StepFailed(f"{step.verb} failed though only this did: {fault}") from error
        context.consequences.append(f"{step.verb}: EIO")
        return _after_failure(action, work)
    if not before and context.tap.hit and _is_own(action, fault):
        raise StepFailed(f"{step.verb} succeeded, though its own I/O failed: {fault}")
    return detail


def _read_image(context: Context, action: io.ReadImage, work: Work) -> Detail:
    """Read an image, which may refuse what it cannot know any more; the table says how much. As
    the fault may happen while it is read, whether it might is known only afterwards."""
    detail = work(action.model_copy(update={"expect": io.ImageExpect.MODEL_OR_EIO}))
    refused, sectors = int(str(detail["EIO"])), int(str(detail["sectors"]))
    if not explained.spoiling(context, action.snapshot, action.device):
        allowed = {io.ImageExpect.MODEL: 0, io.ImageExpect.EIO: sectors}.get(action.expect, refused)
        if refused != allowed:
            raise StepFailed(
                f"{refused} sectors of the image of {action.device} gave EIO, must be {allowed}: "
                f"{_state_of(context)}"
            )
    if refused:
        context.consequences.append(f"read_image of {action.device}: {refused} sectors EIO")
    return detail


def _state_of(context: Context) -> str:
    assert context.tap is not None
    if context.tap.struck is None:
        return "nothing had failed yet"
    return f"all that failed was {context.tap.struck}"


def _is_own(action: Action, fault: Io) -> bool:
    """Whether the fault can only have been an I/O of the step itself: the module neither writes to
    an original nor flushes it."""
    own = (Op.WRITE, Op.FLUSH)
    return type(action) is io.Write and fault.disk == action.device and fault.op in own


def _may_fail(context: Context, action: Action, *, now: bool) -> bool:
    """now: the fault happened during this step."""
    assert context.tap is not None
    assert context.tap.fault is not None
    fault = context.tap.fault
    if isinstance(action, io.WriteImage):
        name, device = action.snapshot, action.device
        spoiled = context.model.is_spoiled(name, device)
        return spoiled or (now and explained.spoiling(context, name, device))
    if type(action) is io.Write:
        return now and _is_own(action, fault)
    if isinstance(action, io.Read):
        return now and (fault.disk, fault.op) == (action.device, Op.READ)
    return True


def _after_failure(action: Action, work: Work) -> Detail:
    """What must be after a step that was allowed to fail."""
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
        if event.number != errno.EIO or not explained.spoiling(context, name, event.device):
            raise StepFailed(f"{event}, which {fault} does not explain")
        context.consequences.append(str(event))
    events.claim(context, name)


def _tell_images(context: Context, name: str) -> None:
    """What has become of the images of a snapshot."""
    living = context.snapshots.get(name)
    for device in living.images if living is not None else ():
        state = "spoiled" if context.model.is_spoiled(name, device) else "right"
        context.consequences.append(f"image of {device} {state}")

"""What the I/O that was made to fail explains: a spoiled image, a read that failed once."""

from __future__ import annotations

import errno
from collections.abc import Sequence

from lab.runner.context import Context
from lab.runner.failures import StepFailed
from lab.tap.record import Op


def spoiling(context: Context, snapshot: str, device: str) -> bool:
    """Whether the fault has happened, and may have spoiled the image of a device: its own reads
    may, and whatever goes to the storage of its snapshot. Other originals have images of their own
    (K21), and what fails of a write to the original fails the write only."""
    assert context.tap is not None
    fault = context.tap.struck
    if fault is None:
        return False
    return failed_read(context, device) or context.model.may_hold_copies(
        snapshot, fault.disk, fault.sector, fault.count
    )


def failed_read(context: Context, device: str) -> bool:
    """Whether the fault has happened, and was a read of a disk that a device lies on."""
    assert context.tap is not None
    fault = context.tap.struck
    return (
        fault is not None and fault.op is Op.READ and fault.disk in context.model.disks_of(device)
    )


def note_passing(context: Context, path: str, errors: Sequence[Sequence[int]]) -> None:
    """Tell errors (sector, count, errno) of reads that did not come back at the second try.
    StepFailed for one that the fault does not explain."""
    for sector, count, number in errors:
        about, is_explained = _about(context, path)
        name = errno.errorcode.get(number, str(number))
        said = f"a read of {about}, sectors {sector}+{count}, failed once with {name}"
        if number != errno.EIO or not is_explained:
            assert context.tap is not None  # else nobody would ask a second time
            what = context.tap.struck or "nothing"
            raise StepFailed(f"{said}; what failed does not explain it: {what}")
        context.consequences.append(said)


def _about(context: Context, path: str) -> tuple[str, bool]:
    """What a path is, in words, and whether the fault explains that a read of it fails."""
    for living in context.snapshots.values():
        for name, image in living.images.items():
            if image == path:
                return f"the image of {name}", spoiling(context, living.name, name)
    for name, device in context.devices.items():
        if device.path == path:
            return name, failed_read(context, name)
    return path, False

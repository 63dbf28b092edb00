"""Verbs that read and write devices and images."""

from __future__ import annotations

import errno
from collections.abc import Mapping

from lab.guest.channel import AgentFailure
from lab.guest.lost import GuestLost
from lab.model.seen import SeenKind
from lab.model.writes import Plan
from lab.runner.context import Context, Executor, agree
from lab.runner.failures import StepFailed
from lab.runner.power import is_synced
from lab.runner.verbs import events
from lab.runner.wire import GRAIN, batches, scan_ranges
from lab.scenario import steps_io as verbs
from lab.scenario.expand import Ranges, ranges_of
from lab.units import KIB, SECTOR

Detail = Mapping[str, object]
MAX_EIO_GRAIN = 64 * KIB
DIGEST_BLOCKS = 4096
"""Fingerprints of one answer."""


def write(context: Context, action: verbs.Write) -> Detail:
    """Stamped writes to an original."""
    device = context.device(action.device)
    ranges = ranges_of(action, device.sectors, context.turn)
    plan = context.model.plan_write(action.device, ranges, context.where)
    refused = 0
    for batch in _batches(plan):
        try:
            done = _send(context, device.path, action, batch)
        except (AgentFailure, GuestLost):
            context.model.wrote(action.device, batch, action.how.value, failed=True)
            context.power.wrote(action.device, batch, action, done=False)
            raise
        refused += len(batch) - len(done)
        context.model.wrote(action.device, done, action.how.value)
        context.power.wrote(action.device, done, action)
        _note_safe(context, action, done)
    if action.refused is None:
        return _written(ranges)
    if not action.refused[0] <= refused <= action.refused[1]:
        low, high = action.refused
        raise StepFailed(f"{refused} of {len(plan)} writes got EAGAIN; must be {low} to {high}")
    return {**_written(ranges), "refused": refused}


def _note_safe(context: Context, action: verbs.Write, done: Plan) -> None:
    """Tell what a power cut must not lose from now on."""
    if action.how in verbs.DSYNCS:
        context.model.safe(action.device, done)
    elif is_synced(action):
        context.model.synced(action.device)
        context.power.synced(action.device)


def kill_writers(context: Context, action: verbs.KillWriters) -> Detail:
    """Processes that are killed while they wait; each write may have been done or not."""
    device = context.device(action.device)
    ranges = ranges_of(action, device.sectors, context.turn)
    plan = context.model.plan_write(action.device, ranges, context.where)
    args = {
        "path": device.path,
        "tag": context.model.tag(action.device),
        "writes": [list(one) for one in plan],
        "after": action.after_ms / 1000,
    }
    context.model.wrote(action.device, plan, "direct", failed=True)
    killed = int(context.request("write_killed", args)["killed"])
    if killed < action.at_least:
        raise StepFailed(
            f"{killed} of {len(plan)} writers were still waiting; must be {action.at_least} or more"
        )
    return {**_written(ranges), "killed": killed}


def write_image(context: Context, action: verbs.WriteImage) -> Detail:
    """Stamped writes into an image."""
    path = context.image(action.snapshot, action.device)
    sectors = context.snapshot(action.snapshot).sectors[action.device]
    ranges = ranges_of(action, sectors, context.turn)
    plan = context.model.plan_image_write(action.snapshot, action.device, ranges, context.where)
    for batch in _batches(plan):
        try:
            _send(context, path, action, batch)
        except AgentFailure:
            context.model.wrote_image(action.snapshot, action.device, batch, failed=True)
            raise
        context.model.wrote_image(action.snapshot, action.device, batch)
    return _written(ranges)


def _send(context: Context, path: str, action: verbs.Write, plan: Plan) -> Plan:
    """Let the agent do planned writes; those that were done, which is all but those that the step
    allows to be refused. AgentFailure also if only some of them failed."""
    answer = context.request(
        "write",
        {
            "path": path,
            "tag": context.model.tag(action.device),
            "writes": [list(one) for one in plan],
            "how": action.how.value,
            "queue_depth": action.queue_depth,
            "chunk": action.chunk,
            "sync": action.fsync,
        },
    )
    failures = answer["errors"]
    if action.refused is not None:
        refused = {place for place, number in failures if number == errno.EAGAIN}
        failures = [failure for failure in failures if failure[1] != errno.EAGAIN]
    else:
        refused = set()
    if failures:
        place, number = failures[0][:2]
        sector, count, _ = plan[place]
        what = f"{len(failures)} of {len(plan)} writes failed, first sectors {sector}+{count}"
        described = {"kind": "os", "errno": number, "operation": "write", "message": what}
        raise AgentFailure(described)
    return [one for place, one in enumerate(plan) if place not in refused]


def _batches(plan: Plan) -> list[Plan]:
    return [[(w[0], w[1], w[2]) for w in batch] for batch in batches(plan)]


def _written(ranges: Ranges) -> Detail:
    return {"writes": len(ranges), "sectors": _total(ranges)}


def _clearing(context: Context, action: verbs.Placed, how: str) -> Ranges:
    device = context.device(action.device)
    ranges = ranges_of(action, device.sectors, context.turn)
    for batch in batches(ranges):
        context.request("zero", {"path": device.path, "ranges": batch, "how": how})
    return ranges


def zero(context: Context, action: verbs.Zero) -> Detail:
    """Zeroing without data."""
    ranges = _clearing(context, action, "write_zeroes")
    context.model.zeroed(action.device, ranges)
    return _written(ranges)


def discard(context: Context, action: verbs.Discard) -> Detail:
    """Discards."""
    ranges = _clearing(context, action, "discard")
    context.model.discarded(action.device, ranges)
    return _written(ranges)


def secure_erase(context: Context, action: verbs.SecureErase) -> Detail:
    """Secure erases."""
    ranges = _clearing(context, action, "secure_erase")
    context.model.discarded(action.device, ranges)
    return _written(ranges)


def read(context: Context, action: verbs.Read) -> Detail:
    """Read an original and compare."""
    device = context.device(action.device)
    ranges = ranges_of(action, device.sectors, context.turn)
    for sector, count, seen in scan_ranges(context, device.path, ranges, direct=action.direct):
        agree("", context.model.compare_original(action.device, seen, sector, count))
    return {"sectors": _total(ranges)}


def read_image(context: Context, action: verbs.ReadImage) -> Detail:
    """Read an image and compare."""
    path = context.image(action.snapshot, action.device)
    sectors = context.snapshot(action.snapshot).sectors[action.device]
    ranges = ranges_of(action, sectors, context.turn)
    if action.expect is not verbs.ImageExpect.MODEL:
        events.claim(context, action.snapshot, action.device)
    grain = eio_grain(context) if action.expect is verbs.ImageExpect.EIO else GRAIN
    refused = 0
    for sector, count, seen in scan_ranges(
        context, path, ranges, direct=action.direct, grain=grain
    ):
        wrong = context.model.compare_image(
            action.snapshot,
            action.device,
            seen,
            start=sector,
            count=count,
            expect=action.expect,
        )
        agree("", wrong)
        refused += sum(run.count for run in seen if run.kind is SeenKind.ERROR)
    return {"sectors": _total(ranges), "expect": action.expect.value, "EIO": refused}


def eio_grain(context: Context) -> int:
    """Bytes in which an image that must refuse everything is tried: no chunk is smaller."""
    return min(MAX_EIO_GRAIN, 1 << context.model.parameters["chunk_minimum_shift"])


def digest(context: Context, action: verbs.Digest) -> Detail:
    """Fingerprints of blocks, kept or compared."""
    path = context.path(action.device, action.snapshot)
    if action.snapshot is None:
        sectors = context.device(action.device).sectors
    else:
        sectors = context.snapshot(action.snapshot).sectors[action.device]
    found: dict[int, str] = {}
    for sector, count in ranges_of(action, sectors, context.turn):
        place = (sector * SECTOR, count * SECTOR)
        found |= fingerprints(context, path, *place, action.block)
    for sector, count in context.model.storage_ranges(action.device):
        first = sector * SECTOR // action.block
        for block in range(first, -(-(sector + count) * SECTOR // action.block)):
            found.pop(block, None)
    if action.save is not None:
        context.digests[action.save] = found
    compared = _compare_digests(context, action, found) if action.same_as is not None else 0
    return {"blocks": len(found), "compared": compared}


def fingerprints(context: Context, path: str, start: int, size: int, block: int) -> dict[int, str]:
    """Fingerprint by number of the block; bytes."""
    if start % block:
        raise StepFailed(f"fingerprints begin at a multiple of their block of {block} bytes")
    found: dict[int, str] = {}
    for offset in range(start, start + size, DIGEST_BLOCKS * block):
        length = min(DIGEST_BLOCKS * block, start + size - offset)
        answer = context.request(
            "digest", {"path": path, "offset": offset, "length": length, "block": block}
        )
        if answer["errors"]:
            sector, count, number = answer["errors"][0]
            what = f"{path}, sectors {sector}+{count}"
            described = {"kind": "os", "errno": number, "operation": "read", "message": what}
            raise AgentFailure(described)
        found |= dict(enumerate(answer["digests"], offset // block))
    return found


def _compare_digests(context: Context, action: verbs.Digest, found: dict[int, str]) -> int:
    """Blocks that were compared. Raises StepFailed if one differs or none could be compared."""
    kept = context.digests.get(action.same_as or "")
    if kept is None:
        raise StepFailed(f"no fingerprints were kept as {action.same_as!r}")
    both = kept.keys() & found.keys()
    if not both:
        raise StepFailed("no block has two fingerprints to compare")
    wrong = sorted(block for block in both if kept[block] != found[block])
    if wrong:
        shown = ", ".join(map(str, wrong[:20]))
        raise StepFailed(
            f"{len(wrong)} of {len(both)} blocks of {action.block} bytes differ "
            f"from {action.same_as!r}",
            [f"blocks {shown}{' ...' if len(wrong) > 20 else ''}"],
        )
    return len(both)


def _total(ranges: Ranges) -> int:
    return sum(count for _, count in ranges)


EXECUTORS: dict[str, Executor] = {
    "write": write,
    "kill_writers": kill_writers,
    "write_image": write_image,
    "zero": zero,
    "discard": discard,
    "secure_erase": secure_erase,
    "read": read,
    "read_image": read_image,
    "digest": digest,
}

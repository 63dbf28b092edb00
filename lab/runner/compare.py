"""Full comparisons with the model: originals, images, CBT maps."""

from __future__ import annotations

import errno

from lab.guest.channel import AgentFailure
from lab.model.disagreement import Disagreement, general
from lab.model.seen import Seen
from lab.runner import hostscan
from lab.runner.context import Context, Snapshot, agree
from lab.runner.failures import StepFailed
from lab.runner.verbs.events import drain
from lab.runner.verbs.io import eio_grain
from lab.runner.wire import GRAIN, read_map, scan_ranges
from lab.units import GIB, SECTOR

BUDGET = 2 * GIB // SECTOR
"""Sectors of a device that are all read in the guest; of a larger one only what was ever written,
both ends and samples, as the rest was never given any data."""
WINDOWS = frozenset({"partition", "linear", "delay", "flakey", "error", "multipath", "nvme_tcp"})
"""Kinds of devices whose bytes are those of the device below."""


def originals(context: Context) -> int:
    """Compare every original; returns how many sectors were looked at."""
    context.request("sync")
    found: list[Disagreement] = []
    sectors = 0
    for name, device in context.devices.items():
        if device.kind in WINDOWS:
            continue  # compared as part of the disk below
        seen = on_host(context, name)
        if seen is not None:
            found += context.model.compare_original(name, seen)
            sectors += device.size // SECTOR
        else:
            for sector, count, read in scan_ranges(
                context, device.path, context.model.scan_plan(name, BUDGET)
            ):
                found += context.model.compare_original(name, read, sector, count)
                sectors += count
    agree("", found)
    return sectors


def on_host(context: Context, name: str) -> tuple[Seen, ...] | None:
    """All sectors of a disk, read on the host; None if that cannot be done.

    What is still in the guest's page cache is not in it.
    """
    disk = context.guest.disks.get(name)
    if disk is None or not hostscan.readable(disk.host_file):
        return None
    return hostscan.scan_file(disk.host_file, context.devices[name].size)


def snapshot(context: Context, living: Snapshot) -> int:
    """Compare all images and maps of a snapshot; returns how many sectors were looked at."""
    refuse_unexpected_events(context, living)
    found: list[Disagreement] = []
    sectors = 0
    for name, path in living.images.items():
        size = int(context.request("device_info", {"path": path})["size"])
        right = living.sectors[name] * SECTOR
        if size != right:
            raise StepFailed(f"the image of {name} in {living.name} has {size} bytes, not {right}")
        plan = [
            (sector, min(count, size // SECTOR - sector))
            for sector, count in context.model.scan_plan(name, BUDGET)
            if sector < size // SECTOR
        ]
        spoiled = context.model.is_spoiled(living.name, name)
        grain = eio_grain(context) if spoiled else GRAIN
        for sector, count, seen in scan_ranges(context, path, plan, grain=grain):
            found += context.model.compare_image(living.name, name, seen, start=sector, count=count)
            sectors += count
        if name in context.devices:
            found += cbt_map(context, name)
    agree("", found)
    return sectors


def cbt_map(context: Context, name: str) -> tuple[Disagreement, ...]:
    """Compare the map of a device; one that lost an update must not be readable (K12)."""
    path = context.device(name).path
    if not context.model.is_map_lost(name):
        return context.model.compare_map(name, read_map(context, path))
    try:
        read_map(context, path)
    except AgentFailure as error:
        if error.errno != errno.EFAULT:
            raise
        return ()
    return (general(f"CBT map of {name}", "readable", "EFAULT: an update of it failed"),)


def refuse_unexpected_events(context: Context, living: Snapshot) -> None:
    """A corrupted event that no step has asked for is a failure, and not an excuse for EIO."""
    drain(context, living)
    unclaimed = [text for name, _, text in context.unclaimed if name == living.name]
    if unclaimed:
        wrong = context.model.check_overflow(living.name, justified=True)
        why = str(wrong[0]) if wrong else "what was written did not fit into the storage given"
        raise StepFailed(f"nobody expected: {'; '.join(unclaimed)}", [why])

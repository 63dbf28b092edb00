"""Verbs about trackers, CBT maps, and backups made with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lab.model.cbt import blocks_to_ranges
from lab.model.runmap import RunMap
from lab.model.seen import TrackerSeen
from lab.runner import compare
from lab.runner.context import Context, Executor, agree
from lab.runner.failures import StepFailed
from lab.runner.verbs.io import fingerprints
from lab.runner.wire import (
    BATCH,
    as_lists,
    read_map,
    read_map_part,
    scan_ranges,
    tracker_of,
)
from lab.scenario import steps_snapshot as verbs
from lab.scenario.expand import Ranges, cut
from lab.units import KIB, MIB, SECTOR

Detail = Mapping[str, object]
COPY_PIECE = 64 * MIB // SECTOR
"""Most sectors copied by one request."""
PIECE = 256 * KIB // SECTOR
FINGERPRINT = 64 * KIB


def read_cbt(context: Context, action: verbs.ReadCbt) -> Detail:
    """Read a map and compare every byte."""
    path = context.device(action.device).path
    if action.length is None:
        runs = read_map(context, path)
    else:
        runs = read_map_part(context, path, action.offset, action.length)
    agree("", context.model.compare_map(action.device, runs, action.offset, action.length))
    blocks = sum(run.count for run in runs)
    if action.changed_since is None:
        return {"blocks": blocks}
    changed = sum(run.count for run in runs if run.value > action.changed_since)
    if action.report is not None:
        context.reports[action.report] = changed
    if action.changed is not None and not action.changed[0] <= changed <= action.changed[1]:
        raise StepFailed(
            f"{changed} blocks of {action.device} changed since {action.changed_since}; "
            f"must be {action.changed[0]} to {action.changed[1]}"
        )
    return {"blocks": blocks, "changed": changed}


def mark_dirty(context: Context, action: verbs.MarkDirty) -> Detail:
    """Mark ranges in both maps."""
    path = context.path(action.device, action.snapshot)
    ranges = [(one.sector, one.count) for one in action.ranges]
    context.request("mark_dirty", {"device": path, "ranges": as_lists(ranges)})
    context.model.dirty_marked(action.device, ranges)
    return {"ranges": len(ranges)}


def check_tracker(context: Context, action: verbs.CheckTracker) -> Detail:
    """One tracker, or that there is none."""
    seen = tracker_of(context, action.device)
    before = context.generations.get(action.device, [])
    last = context.latest_generation.get(action.device, "none")
    if not action.tracked:
        if seen is not None:
            raise StepFailed(f"{action.device} is tracked; it must not be")
        agree("", context.model.compare_tracker(action.device, None))
        return {"tracked": False}
    if seen is None:
        raise StepFailed(f"{action.device} is not tracked; it must be")
    if action.generation is verbs.GenerationExpect.SAME and seen.generation != last:
        raise StepFailed(f"generation {seen.generation}; must be {last} still")
    if action.generation is verbs.GenerationExpect.NEW and seen.generation in before:
        raise StepFailed(f"generation {seen.generation} again; must be a new one")
    observe(context, action.device, seen)
    context.generations.setdefault(action.device, []).append(seen.generation)
    wanted = (
        ("number", seen.number, action.number),
        ("block size", seen.block_size, action.block_size),
        ("block count", seen.block_count, action.block_count),
    )
    for what, found, right in wanted:
        if right is not None and found != right:
            raise StepFailed(f"{what} {found}; must be {right}")
    return {"generation": seen.generation, "number": seen.number, "block size": seen.block_size}


def observe(context: Context, device: str, seen: TrackerSeen | None) -> None:
    """Compare a tracker's record with the model, which knows when its generation may change."""
    agree("", context.model.compare_tracker(device, seen))
    if seen is not None:
        context.latest_generation[device] = seen.generation


def tracker_remove(context: Context, action: verbs.TrackerRemove) -> Detail:
    """Stop tracking."""
    context.request("tracker_remove", {"device": context.device(action.device).path})
    if not context.model.is_tracked(action.device):
        raise StepFailed(f"{action.device} was tracked; no step has had it tracked")
    context.model.tracker_removed(action.device)
    return {}


def backup(context: Context, action: verbs.Backup) -> Detail:
    """Copy what the map says from the image, then compare all."""
    device = context.device(action.device)
    image = context.image(action.snapshot, action.device)
    info = tracker_of(context, action.device)
    if info is None:
        raise StepFailed(f"{action.device} is not tracked")
    since = context.model.backup_since(action.to, action.device, info, action.mode, action.since)
    sectors = context.snapshot(action.snapshot).sectors[action.device]
    ranges: Ranges = [(0, sectors)]
    if since is not None:
        runs = read_map(context, device.path)
        agree("", context.model.compare_map(action.device, runs))
        block_sectors = info.block_size // SECTOR
        ranges = list(blocks_to_ranges(runs, since, block_sectors, sectors))
    copied = _copy(context, image, context.device(action.to).path, ranges)
    context.model.backup_done(action.snapshot, action.device, action.to, info, ranges)
    if action.max_copied is not None and copied * SECTOR > action.max_copied:
        raise StepFailed(f"copied {copied * SECTOR} bytes; at most {action.max_copied} allowed")
    detail: Detail = {"since": since, "ranges": len(ranges), "copied sectors": copied}
    if action.check:
        detail = {**detail, **compare_backup(context, action.snapshot, action.device, action.to)}
    return detail


def _copy(context: Context, source: str, target: str, ranges: Ranges) -> int:
    """Copy ranges of sectors, in pieces that a request can do in its time."""
    todo: list[list[int]] = []
    copied = room = 0
    for sector, count in cut(ranges, COPY_PIECE):
        if todo and (room + count > COPY_PIECE or len(todo) >= BATCH):
            copied += _copy_once(context, source, target, todo)
            todo, room = [], 0
        todo.append([sector, count])
        room += count
    return copied + (_copy_once(context, source, target, todo) if todo else 0)


def _copy_once(context: Context, source: str, target: str, ranges: list[list[int]]) -> int:
    args = {"source": source, "target": target, "ranges": ranges, "direct": True}
    return int(context.request("copy", args)["copied_sectors"])


def check_backup(context: Context, action: verbs.CheckBackup) -> Detail:
    """Compare a backup with image and model."""
    context.request("sync")
    return compare_backup(context, action.snapshot, action.device, action.to)


def compare_backup(context: Context, snapshot: str, device: str, target: str) -> Detail:
    """Every sector of a backup: as the model says, and, where that does not know for sure, as the
    image. A write that was in flight at the take may be in the image or not; if it is, it must have
    been marked for this backup."""
    path = context.device(target).path
    image = context.image(snapshot, device)
    sectors = context.snapshot(snapshot).sectors[device]
    seen = compare.on_host(context, target)
    if seen is not None:
        agree("", context.model.compare_backup(snapshot, device, seen, 0, sectors))
    else:
        for sector, count, part in scan_ranges(context, path, [(0, sectors)]):
            agree("", context.model.compare_backup(snapshot, device, part, sector, count))
    doubtful = context.model.doubtful_ranges(device, snapshot)
    for sector, count in _whole_pieces(doubtful, sectors):
        place = (sector * SECTOR, count * SECTOR, FINGERPRINT)
        right, found = (fingerprints(context, one, *place) for one in (image, path))
        wrong = [block * FINGERPRINT // SECTOR for block in right if right[block] != found[block]]
        if wrong:
            within = f"{wrong[0]}+{FINGERPRINT // SECTOR}"
            raise StepFailed(f"backup {target} differs from the image within {within}")
    return {"sectors": sectors, "as the image only": sum(count for _, count in doubtful)}


def _whole_pieces(ranges: Iterable[tuple[int, int]], sectors: int) -> Ranges:
    """All pieces of a device that some ranges touch, those that are neighbours as one: a request
    for each of many small ranges would take long."""
    pieces: RunMap[bool] = RunMap(-(-sectors // PIECE), False)
    for sector, count in ranges:
        first = sector // PIECE
        pieces.set(first, -(-(sector + count) // PIECE) - first, True)
    places = [(run.start * PIECE, run.count * PIECE) for run in pieces.runs() if run.value]
    return [(sector, min(count, sectors - sector)) for sector, count in places]


EXECUTORS: dict[str, Executor] = {
    "read_cbt": read_cbt,
    "mark_dirty": mark_dirty,
    "check_tracker": check_tracker,
    "tracker_remove": tracker_remove,
    "backup": backup,
    "check_backup": check_backup,
}

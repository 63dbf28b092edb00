"""What is checked after every scenario, without its asking.

Each check is made as long as the guest answers, in this order: everything that still runs is
stopped, all data is compared with the model, everything is taken down, nothing may be left.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.guest.channel import AgentFailure
from lab.runner import compare, leaks
from lab.runner.context import Context, agree
from lab.runner.failures import StepFailed, describe
from lab.runner.klog import device_errors, module_complaints, spoiled_images, tells_spoiled
from lab.runner.verbs import filesystem, loads, module, snapshot, stacked
from lab.runner.wire import read_map, trackers
from lab.scenario.steps_snapshot import Create, Take
from lab.units import SECTOR, STORAGE_UNIT

NEXT = "next-increment"
"""Name of the snapshot that one of the checks takes."""
DESTROY_LIMIT = 30.0
SETTLE_LIMIT = 5.0
"""Seconds in which memory that is freed later (RCU, work queues) must be given back."""
KEPT_BY_TRACKERS = frozenset({"cbt_map", "epoch", "page_array", "tracker"})
"""Kinds that the module may still account for when there are trackers of devices that are gone."""
LEFTOVERS = """
for f in /sys/block/{blksnap:image}* {blksnap:node}* /dev/{blksnap:image}* \
    /sys/class/{blksnap:sysfs} /sys/module/{blksnap:module}; do
    [ -e $f ] && echo $f
done
for f in /proc/[0-9]*/comm; do
    read name 2>/dev/null <$f || continue
    case $name in {blksnap:threads}*) echo $name ;; esac
done
true
"""
"""Shell, without starting further programs: image disks, nodes and threads of the module that are
still there."""


@dataclass(frozen=True)
class Check:
    """An automatic check: its name in reports, and what makes it (raising StepFailed)."""

    name: str
    make: Callable[[Context], Mapping[str, object]]


def stop_loads(context: Context) -> Mapping[str, object]:
    """Loads that were not stopped end now, and are judged as if they had been."""
    # All of them, whatever one did: the model has to know what each has written.
    names = sorted(context.loads, key=lambda name: context.loads[name].kind != "take_cycle")
    failed: list[StepFailed] = []
    for name in names:
        try:
            loads.stop(context, name)
        except StepFailed as error:
            failed.append(error)
    if failed:
        raise StepFailed(
            failed[0].what, [line for one in failed for line in (one.what, *one.detail)]
        )
    return {"stopped": names}


def unmount_all(context: Context) -> Mapping[str, object]:
    """Nothing stays mounted or frozen."""
    for at in list(context.frozen):
        context.request("fsfreeze", {"path": at, "thaw": True})
        context.frozen.discard(at)
    places = list(reversed(context.mounts))
    for at in places:
        filesystem.unmount(context, at)
    return {"unmounted": places}


def faults_happened(context: Context) -> Mapping[str, object]:
    """Every failure that was injected has happened, or it has proven nothing."""
    if not context.module_loaded:
        return {}
    left = module.faults_left(context)
    _refuse([f"never happened: injected {line}" for line in left])
    return {}


def power_was_cut_in_time(context: Context) -> Mapping[str, object]:
    """Of each step that the power was to be cut during, at least one was under way then."""
    _refuse(context.cuts.missed())
    return {}


def power_cuts_could_lose(context: Context) -> Mapping[str, object]:
    """Of each disk with a log one cut at least found writes that were not flushed; else nothing
    could be lost, and they have proven nothing."""
    _refuse(context.power.nothing_to_lose())
    return {**context.power.at_stake}


def compare_originals(context: Context) -> Mapping[str, object]:
    """Every original equals the model, every byte; of devices above 2 GiB that only the guest can
    read: what was ever written, both ends and 16 samples."""
    return {"sectors": compare.originals(context)}


def compare_images(context: Context) -> Mapping[str, object]:
    """Every image and every CBT map of the snapshots that live equals the model; of images of more
    than 2 GiB: what was ever written, both ends and 16 samples."""
    sectors = 0
    for living in context.snapshots.values():
        if living.taken:
            sectors += compare.snapshot(context, living)
        else:
            compare.refuse_unexpected_events(context, living)
    return {"sectors": sectors, "snapshots": list(context.snapshots)}


def destroy_snapshots(context: Context) -> Mapping[str, object]:
    """All snapshots can be destroyed, and the module knew of no others."""
    if not context.module_loaded:
        return {}
    listed = {str(one) for one in context.request("snapshot_collect")["ids"]}
    known = {living.id: name for name, living in context.snapshots.items()}
    wrong = [f"snapshot {known[one]!r} is not listed" for one in known if one not in listed]
    wrong += [f"snapshot {one} is nobody's" for one in listed if one not in known]
    for identity in sorted(listed):
        context.request("snapshot_destroy", {"id": identity}, DESTROY_LIMIT)
        if identity in known:
            snapshot.forget(context, known[identity])
    left = context.request("snapshot_collect")["ids"]
    wrong += [f"snapshot {one} is still there after its destruction" for one in left]
    _refuse(wrong)
    return {"destroyed": len(listed)}


def compare_next_increment(context: Context) -> Mapping[str, object]:
    """What was written since the last take is in the maps: one more take shows it.

    Without it a scenario of one take would never see whether later writes are tracked. The storage
    it needs lies at the end of a disk and is never used, as nothing is written meanwhile: the
    comparison of originals that follows would see if it were.
    """
    names = [name for name in context.model.tracked() if name in context.devices]
    disks = [
        device
        for name, device in context.devices.items()
        if device.kind == "disk"
        and context.scenario.disks[name].logical_block_size <= STORAGE_UNIT * SECTOR
    ]
    if not context.module_loaded or not names or not disks:
        return {"compared": []}
    snapshot.create(context, Create(snapshot=NEXT, devices=tuple(names)))
    held = context.snapshots[NEXT]
    place = (disks[0].sectors // STORAGE_UNIT - 1) * STORAGE_UNIT
    storage = {"id": held.id, "device": disks[0].path, "ranges": [[place, STORAGE_UNIT]]}
    try:
        context.request("append_storage", storage)
        snapshot.take(context, Take(snapshot=NEXT, callers=1, tries=1))
        maps = [(name, read_map(context, context.device(name).path)) for name in names]
        agree("", [one for name, runs in maps for one in context.model.compare_map(name, runs)])
    finally:
        context.request("snapshot_destroy", {"id": held.id}, DESTROY_LIMIT)
        snapshot.forget(context, NEXT)
    return {"compared": names}


def remove_trackers(context: Context) -> Mapping[str, object]:
    """Exactly the trackers that the model knows, as it knows them; all can be removed."""
    if not context.module_loaded:
        return {}
    records = trackers(context)
    living = [record for record in records if not record.gone]
    numbers = {device.number: name for name, device in context.devices.items()}
    wrong: list[str] = []
    for name in context.model.tracked():
        seen = [r.seen for r in living if r.device_id == context.device(name).number]
        wrong += map(str, context.model.compare_tracker(name, seen[0] if seen else None))
    for record in living:
        name = numbers.get(record.device_id, "")
        if not context.model.is_tracked(name):
            wrong.append(f"{name or record.path or record.device_id} is tracked; it must not be")
        number = f"{record.device_id[0]}:{record.device_id[1]}"
        context.request("tracker_remove", {"device": record.path or number})
        if context.model.is_tracked(name):
            context.model.tracker_removed(name)
    left = [record for record in trackers(context) if not record.gone]
    wrong += [f"{record.path} is still tracked after its removal" for record in left]
    _refuse(wrong)
    return {"removed": len(living), "gone": len(records) - len(living)}


def remove_devices(context: Context) -> Mapping[str, object]:
    """Stacked devices can be taken down: nobody holds them."""
    names = [name for name, device in context.devices.items() if device.kind != "disk"]
    for name in reversed(names):
        stacked.take_down(context, name)
    return {"removed": names}


def memory_is_free(context: Context) -> Mapping[str, object]:
    """With no snapshot and no tracker the module holds nothing.

    What is left of trackers whose device is gone may stay until the unload (K37), which reports it
    as a leak if it is still there then.
    """
    if not context.module_loaded:
        return {"checked": False}
    kept = KEPT_BY_TRACKERS if trackers(context) else frozenset()
    held = module.wait_counters_zero(context, SETTLE_LIMIT * context.deadline.patience, kept)
    if held:
        lines = [f"{kind}: {n} objects, {size} bytes" for kind, (n, size) in held.items()]
        raise StepFailed(f"the module still holds memory: {'; '.join(lines)}", lines)
    return {"checked": True}


def unload_module(context: Context) -> Mapping[str, object]:
    """The module unloads, promptly."""
    try:
        return {"seconds": round(module.unload(context), 3)}
    except AgentFailure as error:
        users = context.run(["sh", "-c", "lsmod; cat /proc/mounts"], check=False)
        raise StepFailed(
            f"the module does not unload: {describe(error)}", users.stdout.split("\n")
        ) from error


def nothing_left(context: Context) -> Mapping[str, object]:
    """No image disk, no node, no thread of the module."""
    script = context.flavour.filled_in(LEFTOVERS)
    left = sorted(set(context.run(["sh", "-c", script]).stdout.split()))
    if left:
        raise StepFailed(f"left behind: {', '.join(left)}")
    return {}


def no_io_failed(context: Context) -> Mapping[str, object]:
    """The kernel tells of no I/O that has failed on a device that is no image, and of no trouble of
    a file system on one: write-back fails without a program that is told.

    Not where I/O was made to fail, nor while a step was done that was meant to. Of each disk that
    was declared with `errors` it does.
    """
    found = device_errors(context.log.lines)
    declared = context.scenario.disks
    bad = {
        Path(device.path).name: name
        for name, device in {**context.gone, **context.devices}.items()
        if name in declared and declared[name].errors
    }
    silent = set(bad) - {device for device, _ in found}
    _refuse([f"no I/O of {bad[device]} failed, though some were to" for device in sorted(silent)])
    if context.tap is not None and context.tap.hit:
        return {}
    others = [
        (device, line)
        for device, line in found
        if device.rstrip("0123456789") not in bad and not line.expected
    ]
    image = context.flavour.image
    lines = [str(line) for device, line in others if not device.startswith(image)]
    if lines:
        raise StepFailed(f"the kernel says that I/O failed: {lines[0]}", lines[:40])
    return {"of images": len(others)}


def log_is_quiet(context: Context) -> Mapping[str, object]:
    """No line of the module above info level in a normal run; one error line per spoiled image,
    with device and errno, and none of an image that no event told of. No event of a spoiled image
    that no step has asked for.

    Not while a step was done that was meant to fail: refusals may say why.
    """
    context.log.poll(context.guest)
    if context.unclaimed:
        raise StepFailed(f"nobody expected: {'; '.join(text for *_, text in context.unclaimed)}")
    complaints = module_complaints(context.log.lines, context.flavour.log)
    told = spoiled_images(complaints)
    if told != sorted(context.spoiled):
        events, lines = _spoilings(context.spoiled), _spoilings(told)
        raise StepFailed(f"spoiled by events: {events}; by lines of the log: {lines} (K36)")
    others = [line for line in complaints if not tells_spoiled(line) and not line.expected]
    if others:
        raise StepFailed(
            f"the module's log is not quiet (K36): {others[0].text}",
            [str(line) for line in others[:40]],
        )
    return {"lines": len(context.log.lines), "complaints": len(complaints)}


def _spoilings(spoiled: Sequence[tuple[int, int, int]]) -> str:
    words = [f"{major}:{minor} {errno.errorcode.get(n, n)}" for major, minor, n in spoiled]
    return ", ".join(words) or "none"


def _refuse(wrong: list[str]) -> None:
    if wrong:
        raise StepFailed(wrong[0], wrong)


ALL: tuple[Check, ...] = (
    Check("loads stopped", stop_loads),
    Check("nothing mounted", unmount_all),
    Check("faults happened", faults_happened),
    Check("power cut in time", power_was_cut_in_time),
    Check("power cuts could lose", power_cuts_could_lose),
    Check("originals", compare_originals),
    Check("images and maps", compare_images),
    Check("snapshots destroyed", destroy_snapshots),
    Check("next increment", compare_next_increment),
    Check("trackers removed", remove_trackers),
    Check("devices removed", remove_devices),
    Check("memory given back", memory_is_free),
    Check("module unloaded", unload_module),
    Check("nothing left behind", nothing_left),
    Check("no memory lost", leaks.check),
    Check("originals at the end", compare_originals),
    Check("no I/O failed", no_io_failed),
    Check("kernel log", log_is_quiet),
)

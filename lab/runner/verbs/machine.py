"""Verbs for the machine: disks that come, go and change, power, boot."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lab.guest.disks import Limits
from lab.runner import coverage, races
from lab.runner.context import Context, Device, Executor
from lab.runner.failures import StepFailed
from lab.runner.verbs import module, stacked
from lab.runner.wire import device_number
from lab.scenario import steps_machine as verbs

Detail = Mapping[str, object]


def resize(context: Context, action: verbs.Resize) -> Detail:
    """Another size of a disk; windows on all of it grow when they are made anew."""
    device = context.device(action.device)
    if device.kind == "disk":
        device.size = context.guest.resize_disk(action.device, action.size).size
    else:
        stacked.resize(context, device, action.size)
    context.model.resized(action.device, device.sectors)
    return {"bytes": device.size}


def throttle(context: Context, action: verbs.Throttle) -> Detail:
    """A disk with a limit, or without one."""
    context.device(action.disk)
    limits = Limits(action.read, action.write, action.operations)
    context.guest.throttle(action.disk, limits)
    return {}


def unplug(context: Context, action: verbs.Unplug) -> Detail:
    """Pull a disk; its tracker goes with it (K37)."""
    context.device(action.disk)
    context.guest.unplug(action.disk)
    context.gone[action.disk] = context.devices.pop(action.disk)
    context.model.remove_device(action.disk)
    return {}


def plug(context: Context, action: verbs.Plug) -> Detail:
    """The disk is back, with what it held; perhaps under another name of the kernel."""
    if action.disk in context.devices:
        raise StepFailed(f"disk {action.disk!r} is there already")
    disk = context.guest.plug(action.disk)
    before = context.gone.pop(action.disk)
    now = Device(action.disk, disk.path, disk.size, device_number(context, disk.path))
    context.devices[action.disk] = now
    context.model.disk_back(action.disk)
    if action.same_number:
        stacked.refuse_another_number(before, now)
    return {"path": disk.path}


def boot(context: Context, action: verbs.Boot) -> Detail:
    """Boot after a power cut."""
    console = context.guest.machine.console_path
    if action.saved:
        context.guest.boot_saved()
    else:
        context.guest.boot()
    return _booted(context, console)


def reboot(context: Context, action: verbs.Reboot) -> Detail:
    """Shut down in order and boot. StepFailed if it had to be killed."""
    console = context.guest.machine.console_path
    context.log.poll(context.guest)
    coverage.save(context)
    ending = str(context.guest.reboot(action.within))
    detail = _booted(context, console)
    if ending != "soft":
        raise StepFailed(f"the guest did not shut down within {action.within:g} s")
    return detail


def _booted(context: Context, console: Path) -> Detail:
    """A kernel has started anew: nothing of before lives but the disks; the module is loaded."""
    context.powered = True
    context.figures.booted()
    context.log.restarted(console)
    context.log.mark(context.guest, f"blksnap-lab: {context.scenario.name} after boot")
    context.snapshots.clear()
    for mounted in context.mounts.values():
        if mounted.snapshot is None and mounted.device in context.devices:
            context.model.unmounted(mounted.device)
    context.mounts.clear()
    context.power.booted()
    context.frozen.clear()
    context.loads.clear()
    context.compiled.clear()
    context.module_loaded = False
    context.model.trackers_lost()
    context.code.clear()
    races.look_closely(context)
    for name in [n for n, device in context.devices.items() if device.kind != "disk"]:
        del context.devices[name]
        context.model.remove_device(name)
    for name, device in context.devices.items():
        disk = context.guest.disks[name]
        device.path, device.size = disk.path, disk.size
        device.number = device_number(context, disk.path)
    module.load(context, context.scenario.module)
    return {"disks": len(context.devices)}


EXECUTORS: dict[str, Executor] = {
    "resize": resize,
    "throttle": throttle,
    "unplug": unplug,
    "plug": plug,
    "boot": boot,
    "reboot": reboot,
}

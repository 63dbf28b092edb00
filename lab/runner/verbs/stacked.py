"""Verbs for stacked devices: built, taken down, built again from images of their members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lab.runner.context import Context, Device, Executor
from lab.runner.failures import StepFailed
from lab.runner.verbs import probe
from lab.scenario import devices as declared
from lab.scenario import steps_machine as verbs

Detail = Mapping[str, object]
COPY = "copy"
"""Kind of a device that was built from images."""


def build(context: Context, name: str, device: declared.Device) -> Device:
    """Build a device on those that are there."""
    args: dict[str, object] = {
        key: value
        for key, value in device.stack.model_dump().items()
        if value is not None and key not in ("on", "over")
    }
    if "options" in args:
        args["options"] = list(args["options"])  # type: ignore[call-overload]
    below = [context.device(one).path for one in device.below]
    if isinstance(device.stack, declared.Announcing):
        probe.load_announcing(context)
    if isinstance(device.stack, declared.Stripe | declared.Lvm | declared.Raid | declared.Thin):
        args["over"] = below
    elif below:
        args["on"] = below[0]
    answer = context.request("stack_create", {"name": name, "kind": device.kind, **args})
    made = register(context, name, str(answer["path"]), device.kind)
    context.model.add_stack(name, device, made.sectors)
    return made


def register(context: Context, name: str, path: str, kind: str) -> Device:
    """Know a device by its name; its size and number are the guest's."""
    info = context.request("device_info", {"path": path})
    number = (int(info["major"]), int(info["minor"]))
    context.gone.pop(name, None)
    context.devices[name] = Device(name, path, int(info["size"]), number, kind)
    return context.devices[name]


def take_down(context: Context, name: str) -> None:
    """Take a device down and forget it."""
    device = context.device(name)
    if device.kind == COPY:
        _drop_copy(context, name)
    else:
        context.request("stack_remove", {"name": name})
    context.gone[name] = context.devices.pop(name)
    context.model.remove_device(name)


def add_device(context: Context, action: verbs.AddDevice) -> Detail:
    """Build a device now."""
    if action.device in context.devices:
        raise StepFailed(f"device {action.device!r} is there already")
    make = action.make or context.scenario.devices[action.device]
    before = context.gone.get(action.device)
    made = build(context, action.device, make)
    if action.same_number:
        refuse_another_number(before, made)
    return {"path": made.path, "bytes": made.size}


def refuse_another_number(before: Device | None, now: Device) -> None:
    """StepFailed if a device that has come back has another number."""
    if before is None or before.number != now.number:
        was = "none" if before is None else "{}:{}".format(*before.number)
        is_now = "{}:{}".format(*now.number)
        raise StepFailed(f"{now.name} is {is_now} now; before it was {was}")


def remove_device(context: Context, action: verbs.RemoveDevice) -> Detail:
    """Take a device down."""
    take_down(context, action.device)
    return {}


def resize(context: Context, device: Device, size: int) -> None:
    """Another size of a device that can have one. StepFailed if the guest sees another."""
    context.request("stack_resize", {"name": device.name, "size": size})
    device.size = int(context.request("device_info", {"path": device.path})["size"])
    if device.size != size:
        raise StepFailed(f"{device.name} has {device.size} bytes now; it must have {size}")


def assemble(context: Context, action: verbs.Assemble) -> Detail:
    """A second copy of a spread device, from the images of its members."""
    device = context.scenario.devices[action.device]
    members = [name for name in device.below if name not in action.without]
    images = [context.image(action.snapshot, name) for name in members]
    stack = device.stack
    if isinstance(stack, declared.Stripe):
        path = _assemble_stripe(context, action.name, images, stack)
    elif isinstance(stack, declared.Lvm):
        path = _assemble_lvm(context, action.name, images)
    elif isinstance(stack, declared.Raid):
        path = _assemble_raid(context, images)
    else:
        raise StepFailed(f"a {device.kind} is not spread over members")
    made = register(context, action.name, path, COPY)
    context.copies[action.name] = device.kind
    context.model.assembled(action.snapshot, action.device, action.name)
    return {"path": path, "bytes": made.size, "members": members}


def _assemble_stripe(
    context: Context, name: str, images: Sequence[str], stripe: declared.Stripe
) -> str:
    args = {"name": name, "kind": "stripe", "over": list(images), "chunk": stripe.chunk}
    return str(context.request("stack_create", args)["path"])


def _assemble_lvm(context: Context, name: str, images: Sequence[str]) -> str:
    """vgimportclone gives the copies ids of their own: the originals are still there."""
    group = _group(name)
    context.run(["vgimportclone", "--config", _lvm_config(context), "--basevgname", group, *images])
    context.run(["vgchange", "--config", _lvm_config(context), "--activate", "y", group])
    return f"/dev/{group}/volume"


def _assemble_raid(context: Context, images: Sequence[str]) -> str:
    """Read-only: nothing is resynchronised, so what the members hold is what is read.

    The original array has the same id. mdadm refuses a second one that it finds in its own list of
    arrays; the kernel does not mind.
    """
    path = next(
        f"/dev/md{number}"
        for number in MD_NUMBERS
        if all(device.path != f"/dev/md{number}" for device in context.devices.values())
    )
    context.run(["sh", "-c", "mkdir -p /run/mdadm && : > /run/mdadm/map"])
    context.run(["mdadm", "--assemble", "--run", "--readonly", path, *images])
    return path


def _drop_copy(context: Context, name: str) -> None:
    kind = context.copies.pop(name)
    if kind == "stripe":
        context.request("stack_remove", {"name": name})
    elif kind == "lvm":
        context.run(["vgchange", "--config", _lvm_config(context), "--activate", "n", _group(name)])
    else:
        context.run(["mdadm", "--stop", context.device(name).path])


def _lvm_config(context: Context) -> str:
    return context.flavour.filled_in(LVM_CONFIG)


def _group(name: str) -> str:
    return f"copy_{name.replace('-', '_')}"


LVM_CONFIG = (
    'devices { obtain_device_list_from_udev=0 use_devicesfile=0 types=["{blksnap:image}", 16] } '
    "activation { udev_sync=0 udev_rules=0 verify_udev_operations=0 } "
    "global { use_lvmpolld=0 }"
)
"""LVM without udev: look at devices and make nodes directly. Image disks are of a type that it
must be told of."""
MD_NUMBERS = range(50, 90)

EXECUTORS: dict[str, Executor] = {
    "add_device": add_device,
    "remove_device": remove_device,
    "assemble": assemble,
}

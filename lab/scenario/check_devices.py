"""Checks of the declared disks and devices, and what later checks need to know of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lab.scenario import devices as declared
from lab.scenario.mistakes import Place
from lab.scenario.values import Range
from lab.units import MIB, format_size

SLOTS = {(512, 512): 18, (512, 4096): 2, (4096, 4096): 2}
"""Disks that a guest has from its start, by logical and physical block size; they take discards."""
PLUGS = 4
"""Disks of any kind that can be plugged in besides."""
Report = Callable[[Place, str, str], None]
"""(place, what is wrong, what would be right)"""


@dataclass
class Known:
    """A device as far as a checker can know it."""

    size: int | None
    """Bytes; None if it follows only in the guest (an md array)."""
    block: int = 512
    """Logical block size."""
    is_disk: bool = False
    is_scsi_debug: bool = False


def check_devices(
    disks: Mapping[str, declared.Disk],
    devices: Mapping[str, declared.Device],
    excused: frozenset[str],
    report: Report,
) -> dict[str, Known]:
    """Every device with its size; mistakes in the declarations are reported."""
    known: dict[str, Known] = {}
    _check_slots(disks, report)
    for name, disk in disks.items():
        check_disk_size(disk.size, disk.logical_block_size, ("disks", name), report)
        if disk.physical_block_size < disk.logical_block_size:
            report(
                ("disks", name, "physical_block_size"),
                "smaller than the logical block",
                f"{disk.logical_block_size} or more",
            )
        known[name] = Known(disk.size, disk.logical_block_size, is_disk=True)
    for name, device in devices.items():
        place: Place = ("devices", name)
        if name in known:
            report(place, f"`{name}` is also a disk", "another name")
        known[name] = check_device(device, (*place, device.kind), known, excused, report)
    return known


def _check_slots(disks: Mapping[str, declared.Disk], report: Report) -> None:
    """Each disk must hang on the machine somewhere."""
    kinds = Counter(
        (one.logical_block_size, one.physical_block_size) if one.discard else (0, 0)
        for one in disks.values()
    )
    left = sum(max(0, count - SLOTS.get(kind, 0)) for kind, count in kinds.items())
    if left > PLUGS:
        slots = ", ".join(f"{count} of {low}/{high}" for (low, high), count in SLOTS.items())
        right = f"{PLUGS} at most; slots, by block sizes, for disks with discards: {slots}"
        report(("disks",), f"{left} disks are in no slot of the guest", right)


def check_disk_size(size: int, block: int, place: Place, report: Report) -> None:
    """A disk is of whole logical blocks."""
    if size == 0 or size % block:
        right = f"a size above 0 and a multiple of {block}"
        report((*place, "size"), f"{format_size(size)} is no whole disk", right)


def check_device(
    device: declared.Device,
    place: Place,
    known: Mapping[str, Known],
    excused: frozenset[str],
    report: Report,
) -> Known:
    """One stacked device on devices that are known already."""
    below = []
    for name in device.below:
        if name in known:
            below.append(known[name])
        elif name in excused:
            below.append(Known(None))
        else:
            key = "over" if len(device.below) > 1 else "on"
            report((*place, key), f"there is no device `{name}` before this one", _names(known))
    if len(set(device.below)) != len(device.below):
        report((*place, "over"), "a device is listed twice", "each device once")
    if len(below) != len(device.below):
        return Known(None)
    stack = device.stack
    if isinstance(stack, (declared.NullBlk, declared.ScsiDebug)) and stack.size % MIB:
        report((*place, "size"), format_size(stack.size), "whole MiB")
    is_scsi_debug = isinstance(stack, declared.ScsiDebug)
    others = [name for name, one in known.items() if one.is_scsi_debug and name not in excused]
    if is_scsi_debug and others:
        report(place, f"`{others[0]}` is one already", "one at a time")
    block = max((one.block for one in below), default=512)
    if isinstance(stack, (declared.Partition, declared.Linear, declared.ErrorZone)):
        check_window(stack.at, stack.size, below[0], place, report)
    return Known(_size(stack, below), block, is_scsi_debug=is_scsi_debug)


def _size(stack: declared.StackKind, below: list[Known]) -> int | None:
    sizes = [one.size for one in below]
    if isinstance(stack, (declared.Partition, declared.Lvm, declared.Thin, *declared.MADE_UP)):
        return stack.size
    if isinstance(stack, declared.Loop) and stack.file is not None:
        return stack.size
    if isinstance(stack, declared.Linear):
        rest = None if sizes[0] is None else sizes[0] - stack.at
        return rest if stack.size is None else stack.size
    if isinstance(stack, declared.Raid) or any(size is None for size in sizes):
        return None
    return sum(size for size in sizes if size is not None)


def check_window(at: int, size: int | None, on: Known, place: Place, report: Report) -> None:
    """A range must be of whole blocks, not empty, and inside the device."""
    for key, value in (("at", at), ("size", size)):
        if value is not None and value % on.block:
            right = f"a multiple of {on.block}"
            report((*place, key), f"{format_size(value)} is not whole blocks", right)
    if size == 0:
        report((*place, "size"), "nothing", "a size above 0")
    if on.size is None:
        return
    if at >= on.size:
        right = f"below the device's {format_size(on.size)}"
        report((*place, "at"), f"{format_size(at)} is beyond the end", right)
    elif size is not None and at + size > on.size:
        what = f"{format_size(at)} + {format_size(size)} runs over the end"
        report((*place, "size"), what, f"at most {format_size(on.size - at)}")


def check_range(piece: Range, on: Known, place: Place, report: Report) -> None:
    """The same for a range with its place."""
    check_window(piece.at, piece.size, on, place, report)


def check_parameters(parameters: Mapping[str, int], place: Place, report: Report) -> None:
    """Names and bounds of module parameters."""
    for name, value in parameters.items():
        bounds = declared.PARAMETER_BOUNDS.get(name)
        if bounds is None:
            right = f"one of: {', '.join(declared.PARAMETER_BOUNDS)}"
            report((*place, name), f"the module has no parameter `{name}`", right)
        elif not bounds[0] <= value <= bounds[1]:
            report((*place, name), f"{value} is out of range", f"{bounds[0]} to {bounds[1]}")


def _names(known: Mapping[str, Known]) -> str:
    return f"declared are: {', '.join(known) or 'none'}"

"""A guest of its own, booted from an image with nothing saved: for building, and for people.

Its root is an overlay that is gone afterwards; nothing is written to the image.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.guest.command import Accel, MachineSpec, slot_name
from lab.guest.disks import (
    DiskSpec,
    Slot,
    block_node,
    create_host_file,
    device_path,
    make_overlay,
    overlay_node,
)
from lab.guest.machine import Machine
from lab.guest.ssh import Ssh
from lab.image import Image, Keys, Payload, base_payload, build_initramfs
from lab.units import GIB

BOOT_LIMIT = 600.0
UP = "lab-init: up"


@dataclass(frozen=True)
class ScratchGuest:
    """A booted machine, a connection to it, and the guest's paths of its disks by name."""

    machine: Machine
    ssh: Ssh
    disks: dict[str, str]


@contextlib.contextmanager
def boot_scratch(
    image: Image,
    keys: Keys,
    folder: Path,
    *,
    accel: Accel = Accel.TCG,
    disks: Sequence[DiskSpec] = (),
    payload: Payload | None = None,
    memory: int = GIB,
    cpus: int = 2,
) -> Iterator[ScratchGuest]:
    """Boot the image and log in over SSH (10 s under emulation); the guest is gone afterwards.

    Console and overlay go to `folder`, which stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    initrd = folder / "initramfs.cpio"
    initrd.write_bytes(build_initramfs(image.folder, payload or base_payload(keys)))
    overlay = folder / "root.qcow2"
    overlay.unlink(missing_ok=True)
    make_overlay(overlay, image.disk)
    with contextlib.ExitStack() as stack:
        stack.callback(overlay.unlink, missing_ok=True)
        slots = []
        for index, disk in enumerate(disks):
            file = create_host_file(folder, disk.name, disk.size)
            stack.callback(file.path.unlink, missing_ok=True)
            node = block_node(slot_name(index), file, discard=disk.discard)
            slots.append(Slot(disk.block_sizes, node, disk.serial_number))
        root = overlay_node("root", overlay, image.disk)
        spec = MachineSpec(
            image.kernel, initrd, accel, root, memory, cpus, slots=tuple(slots), forward_ssh=True
        )
        machine = stack.enter_context(Machine(spec, folder))
        machine.wait_console(UP, BOOT_LIMIT)
        ssh = stack.enter_context(Ssh.connect(machine.ssh_port(), keys, timeout=BOOT_LIMIT))
        paths = {disk.name: device_path(index + 1) for index, disk in enumerate(disks)}
        yield ScratchGuest(machine, ssh, paths)

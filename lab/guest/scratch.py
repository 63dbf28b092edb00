"""A guest of its own, booted from an image with nothing saved: to build in.

Its root is an overlay; nothing is written to the image.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from lab.guest.command import Accel, MachineSpec
from lab.guest.disks import make_overlay, overlay_node
from lab.guest.machine import Machine
from lab.guest.ssh import Ssh
from lab.image import Image, Keys, base_payload, build_initramfs

BOOT_LIMIT = 600.0
UP = "lab-init: up"


@contextlib.contextmanager
def boot_scratch(image: Image, keys: Keys, folder: Path, accel: Accel) -> Iterator[Ssh]:
    """Boot the image and log in over SSH (10 s under emulation); the guest is gone afterwards.

    Console and overlay go to an empty `folder`, which is the caller's to remove.
    """
    initrd, overlay = folder / "initramfs.cpio", folder / "root.qcow2"
    initrd.write_bytes(build_initramfs(image.folder, base_payload(keys)))
    make_overlay(overlay, image.disk)
    spec = MachineSpec(image.kernel, initrd, accel, overlay_node("root", overlay, image.disk))
    with Machine(spec, folder) as machine:
        machine.wait_console(UP, BOOT_LIMIT)
        with Ssh.connect(machine.ssh_port(), keys, timeout=BOOT_LIMIT) as ssh:
            yield ssh

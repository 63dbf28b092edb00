"""Templates: a booted guest saved once, and clones of it that run in a fraction of a second.

A template's folder holds the guest's memory (`ram`, mapped shared while it was saved, privately by
each clone), the state of its devices, its root overlay, and an empty overlay to copy.
"""

import contextlib
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from lab.cache import digest_of
from lab.guest.bay import DiskBay
from lab.guest.channel import Channel
from lab.guest.command import Accel, MachineSpec, Wiring, qemu_command
from lab.guest.disks import DiskSpec, make_overlay, overlay_node
from lab.guest.guest import Guest
from lab.guest.identity import Identity, StaleTemplate, qemu_identity
from lab.guest.machine import Machine
from lab.guest.saved import restore_devices, save_devices
from lab.image import Image, Keys
from lab.modbuild import BuiltModule
from lab.progress import Progress, ProgressSink

STAGE = "template"
RAM, STATE, ROOT, EMPTY, INITRD = "ram", "state", "root.qcow2", "empty.qcow2", "initramfs.cpio"
BOOT_LIMIT = 240.0
HELLO_LIMIT = 30.0
SIZES_LIMIT = 30.0
# The guest's own background work after boot; saved when it has gone quiet, seconds.
SETTLE = 1.0


@dataclass(frozen=True)
class Template:
    """A saved guest; every clone starts where it was saved."""

    folder: Path
    identity: Identity
    image: Image
    keys: Keys
    module_dir: str | None = None
    module: BuiltModule | None = None
    # Keeps the folder from being pruned while this object lives.
    hold: IO[bytes] | None = field(default=None, repr=False, compare=False)

    @contextlib.contextmanager
    def clone(self, disks: Sequence[DiskSpec], folder: Path) -> Iterator[Guest]:
        """A running guest with these disks, all zeros; it has the right time and own random state.

        `folder` gets its console; the disks are gone afterwards. StaleTemplate if QEMU has changed
        since the template was made.
        """
        if self.identity.qemu != qemu_identity():
            raise StaleTemplate("QEMU has changed since the template was made", "start again")
        folder.mkdir(parents=True, exist_ok=True)
        bay = DiskBay(folder, self.identity.slots)
        overlay = folder / ROOT
        with contextlib.ExitStack() as stack:
            stack.callback(overlay.unlink, missing_ok=True)
            shutil.copyfile(self.folder / EMPTY, overlay)
            stack.callback(bay.remove_files)
            bay.declare(disks)
            guest = Guest(self._spec(bay, overlay), folder, bay, self.keys, self.module_dir)
            stack.callback(guest.close)
            self._restore(guest, bay)
            yield guest

    def _spec(self, bay: DiskBay, overlay: Path) -> MachineSpec:
        root = overlay_node("root", overlay, self.folder / ROOT)
        return replace(
            template_spec(self.image, self.identity, self.folder),
            root=root,
            ram_shared=False,
            slots=bay.slot_nodes(),
            slot_serials=bay.slot_serials(),
        )

    def _restore(self, guest: Guest, bay: DiskBay) -> None:
        guest.start(restored=True)
        restore_devices(guest.machine, self.folder / STATE)
        bay.announce(guest.machine)
        guest.machine.qmp("cont")
        guest.channel.hello(HELLO_LIMIT)
        guest.freshen()
        bay.await_sizes(guest.channel, bay.in_slots(), SIZES_LIMIT)
        guest.plug_the_rest()


def template_spec(image: Image, identity: Identity, folder: Path) -> MachineSpec:
    """The machine of a template in a folder; its clones differ in the files of the disks only."""
    return MachineSpec(
        kernel=image.kernel,
        initrd=folder / INITRD,
        accel=Accel(identity.accel),
        root=overlay_node("root", folder / ROOT, image.disk),
        memory=identity.memory,
        cpus=identity.cpus,
        ram_file=folder / RAM,
        ram_shared=True,
        slots=(None,) * identity.slots,
    )


def save_template(
    image: Image, identity: Identity, initramfs: bytes, folder: Path, progress: ProgressSink
) -> None:
    """Boot a guest and save it into an empty folder. GuestLost if its agent does not come up."""
    (folder / INITRD).write_bytes(initramfs)
    make_overlay(folder / ROOT, image.disk)
    progress(Progress(STAGE, "booting", 0.1))
    machine = Machine(template_spec(image, identity, folder), folder)
    with contextlib.ExitStack() as stack:
        stack.enter_context(machine)
        assert machine.agent_socket is not None  # it was launched
        channel = stack.enter_context(Channel(machine.agent_socket))
        machine.listen(lambda event: _watch(channel, event.name))
        channel.hello(BOOT_LIMIT)
        progress(Progress(STAGE, "saving", 0.8))
        time.sleep(SETTLE)
        save_devices(machine, folder / STATE)
    make_overlay(folder / EMPTY, folder / ROOT)
    identity.save(folder)


def command_line_digest(image: Image, memory: int, cpus: int, slots: int) -> str:
    """Digest of the command line of a template, its paths left out: devices and kernel options."""
    spec = MachineSpec(image.kernel, Path(INITRD), Accel.TCG, None, memory, cpus)
    spec = replace(spec, ram_file=Path(RAM), ram_shared=True, slots=(None,) * slots)
    command = qemu_command(spec, Wiring(0, 0, Path("console.log")))
    return digest_of(*(word for word in command if word != str(image.kernel)))


def _watch(channel: Channel, event: str) -> None:
    if event in ("LAB_EXITED", "GUEST_PANICKED"):
        channel.lose(f"the template's guest ended while it booted ({event})")

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

from lab.cache import Cache, Hold, claimed
from lab.errors import LabError
from lab.flavour import Flavour
from lab.guest.bay import DiskBay
from lab.guest.channel import Channel
from lab.guest.command import MachineSpec
from lab.guest.disks import DiskSpec, Slot, make_overlay, overlay_node
from lab.guest.guest import HELLO_LIMIT, Guest, SavedStart
from lab.guest.identity import Identity, StaleTemplate, qemu_identity
from lab.guest.kept import keep
from lab.guest.lost import GuestLost
from lab.guest.machine import Machine
from lab.guest.saved import save_devices
from lab.image import Image, Keys
from lab.modbuild import BuiltModule
from lab.modready import ReadyModule
from lab.progress import Progress, ProgressSink

STAGE = "template"
RAM, STATE, ROOT, EMPTY, INITRD = "ram", "state", "root.qcow2", "empty.qcow2", "initramfs.cpio"
# 12 s on two idle cores under emulation, fifty times that when everybody shares them, and a debug
# kernel takes ten times as long.
BOOT_LIMIT = 1800.0
# The guest's own background work after boot; saved when it has gone quiet, seconds.
SETTLE = 1.0
# The disks of a guest, logs of what was written to them, and states they were in; what else is in
# the folder of a clone stays.
DISKS = ("*.raw", "*.qcow2", "*.writes", "*.base", "*.img")


@dataclass(frozen=True)
class Template:
    """A saved guest; every clone starts where it was saved.

    `spec` is the machine it was saved on. `cache` is told of the disks of clones. `hold` keeps the
    folder from being pruned while this object lives.
    """

    folder: Path
    identity: Identity
    spec: MachineSpec
    image: Image
    keys: Keys
    cache: Cache
    module: BuiltModule | ReadyModule | None = None
    module_dir: str | None = None
    module_source: Path | None = None
    flavour: Flavour = field(default_factory=Flavour)
    hold: Hold | None = field(default=None, repr=False, compare=False)

    @property
    def contents(self) -> str:
        """Says what its image and its kernel are."""
        return f"{self.identity.image} {self.identity.kernel_release}"

    def release(self) -> None:
        """It may be pruned from the cache again; to be called when nothing is cloned any more."""
        if self.hold is not None:
            self.hold.close()

    @contextlib.contextmanager
    def clone(
        self,
        disks: Sequence[DiskSpec],
        folder: Path,
        *,
        keepable: bool = False,
        console_socket: bool = False,
    ) -> Iterator[Guest]:
        """A running guest with these disks, all zeros; it has the right time and own random state.

        `folder` gets its console; the disks are gone afterwards. `keepable`: a panic pauses it, so
        that keep() can be called then too. StaleTemplate if QEMU has changed since the template was
        made.
        """
        started = time.monotonic()
        if self.identity.qemu != qemu_identity():
            raise StaleTemplate("QEMU has changed since the template was made", "start again")
        with contextlib.ExitStack() as stack:
            with _host_disk(folder):
                folder.mkdir(parents=True, exist_ok=True)
                stack.enter_context(claimed(self.cache, folder, DISKS))
                overlay = folder / ROOT
                stack.callback(overlay.unlink, missing_ok=True)
                shutil.copyfile(self.folder / EMPTY, overlay)
                bay = DiskBay(folder, tuple(slot.sizes for slot in self.spec.slots))
                stack.callback(bay.remove_files)
                bay.declare(disks)
            root = overlay_node("root", overlay, self.folder / ROOT)
            spec = replace(
                self.spec,
                root=root,
                ram_shared=False,
                slots=bay.slots(),
                pause_on_panic=keepable,
            )
            guest = Guest(
                spec,
                folder,
                bay,
                self.keys,
                self.module_dir,
                image=self.contents,
                saved=SavedStart(self.folder / STATE, self.folder / EMPTY, overlay),
                module_source=self.module_source,
                flavour=self.flavour,
                console_socket=console_socket,
            )
            stack.callback(guest.close)
            guest.restore(started)
            yield guest

    def keep(self, guest: Guest, folder: Path) -> None:
        """Save a clone of this template, as it is, into a new folder; see lab.guest.kept."""
        keep(
            guest.machine,
            (guest.folder / ROOT, self.folder / ROOT),
            guest.attached_disks(),
            folder,
            image=self.image,
            debug_modules=self.module.debug_folder if self.module else None,
            module_source=self.module_source,
        )


def template_spec(spec: MachineSpec, image: Image, folder: Path) -> MachineSpec:
    """The machine of a template in a folder; `spec` says memory, processors and slots."""
    return replace(
        spec,
        kernel=image.kernel,
        initrd=folder / INITRD,
        root=overlay_node("root", folder / ROOT, image.disk),
        ram_file=folder / RAM,
        ram_shared=True,
        slots=tuple(Slot(slot.sizes) for slot in spec.slots),
    )


def save_template(
    spec: MachineSpec, image: Image, initramfs: bytes, folder: Path, progress: ProgressSink
) -> None:
    """Boot a guest and save it into an empty folder. GuestLost if its agent does not come up.

    It boots by one thread, for the reason that Guest.boot() gives; its clones have one for each
    processor.
    """
    (folder / INITRD).write_bytes(initramfs)
    make_overlay(folder / ROOT, image.disk)
    progress(Progress(STAGE, "booting", 0.1))
    with contextlib.ExitStack() as stack:
        booting = replace(template_spec(spec, image, folder), one_thread=True)
        machine = stack.enter_context(Machine(booting, folder))
        assert machine.agent_socket is not None  # it was launched
        channel = stack.enter_context(Channel(machine.agent_socket))
        machine.listen(lambda event: _watch(channel, event.name))
        _greet(machine, channel)
        progress(Progress(STAGE, "saving", 0.8))
        time.sleep(SETTLE)
        save_devices(machine, folder / STATE)
    make_overlay(folder / EMPTY, folder / ROOT)


def _greet(machine: Machine, channel: Channel) -> None:
    """Wait for the agent, and have it do once what every clone does first."""
    try:
        channel.hello(BOOT_LIMIT)
        channel.request("exec", {"argv": ["true"], "timeout": 60.0}, HELLO_LIMIT)
        # What the boot wrote each clone would write back, and one that loses its power lose.
        channel.request("sync", {}, HELLO_LIMIT)
    except LabError as error:
        tail = "\n".join(machine.console_text().splitlines()[-15:])
        raise TemplateFailed(f"{error.what}; its console ended with:\n{tail}") from error


class TemplateFailed(LabError):  # noqa: N818 - it says what happened
    """The guest that was to be saved did not come up."""


def _watch(channel: Channel, event: str) -> None:
    if event in ("LAB_EXITED", "GUEST_PANICKED"):
        channel.lose(GuestLost(f"the template's guest ended while it booted ({event})"))


@contextlib.contextmanager
def _host_disk(folder: Path) -> Iterator[None]:
    """Errors of the host's file system as LabError."""
    try:
        yield
    except OSError as error:
        raise LabError(
            f"the disks of a guest cannot be made in {folder}: {error}", "free space there"
        ) from error

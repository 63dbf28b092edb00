"""A clone kept as files at an instant, to be opened by hand as often as wanted.

A kept guest is a folder: `kept.json`, the whole state of the machine with its memory (`state`), its
root disk (an overlay over the image's), a copy of each other disk, and where its modules are
(lab.guest.sections). Opening one changes nothing of it: the disks get overlays. It needs the image
in the cache and the very QEMU that saved it.
"""

import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from lab.errors import LabError, UsageError
from lab.guest.bay import Attached
from lab.guest.command import Accel, MachineSpec
from lab.guest.disks import (
    BlockSizes,
    DiskFormat,
    HostFile,
    Slot,
    block_node,
    disk_device,
    make_overlay,
    overlay_node,
)
from lab.guest.identity import qemu_identity
from lab.guest.machine import Machine, MachineState
from lab.guest.saved import restore_devices, save_whole
from lab.guest.ssh import Ssh
from lab.image import Image, Keys
from lab.process import run

FOLDER = "kept"
FACTS, STATE, ROOT, INITRD = "kept.json", "state", "root.qcow2", "initramfs.cpio"
COPY_LIMIT = 300.0
SSH_LIMIT = 180.0


class NotKept(UsageError):  # noqa: N818 - it says what there is not
    """A folder holds no kept guest, or one that cannot be opened here any more."""


@dataclass(frozen=True)
class KeptDisk:
    """A disk of a kept guest: its name, the guest's path of it, its file, and where it hangs."""

    name: str
    path: str
    file: str
    format: DiskFormat
    device: str
    node: str
    address: int
    slot: int | None
    serial: str
    discard: bool
    logical: int
    physical: int


@dataclass(frozen=True)
class Kept:
    """What a kept guest is made of. Paths are the host's, sizes bytes.

    `debug_modules`: the folder of the kernel modules with all their symbols, None without any;
    `module_source`: that of their sources.
    """

    qemu: str
    accel: Accel
    kernel: Path
    base: Path
    memory: int
    cpus: int
    one_thread: bool
    panicked: bool
    slots: tuple[BlockSizes, ...]
    disks: tuple[KeptDisk, ...]
    debug_modules: Path | None
    module_source: Path | None = None

    @classmethod
    def load(cls, folder: Path) -> "Kept":
        """Read what is said in a folder of a kept guest; NotKept if it is none."""
        try:
            told = json.loads((folder / FACTS).read_text(encoding="utf-8"))
            return cls(
                **told
                | {
                    "accel": Accel(told["accel"]),
                    "kernel": Path(told["kernel"]),
                    "base": Path(told["base"]),
                    "slots": tuple(BlockSizes(**sizes) for sizes in told["slots"]),
                    "disks": tuple(
                        KeptDisk(**disk | {"format": DiskFormat(disk["format"])})
                        for disk in told["disks"]
                    ),
                    "debug_modules": path_or_none(told["debug_modules"]),
                    "module_source": path_or_none(told.get("module_source")),
                }
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise NotKept(
                f"{folder} holds no kept guest ({error})",
                "`blksnap-lab run --keep-failed` keeps the guests of failed scenarios",
            ) from error


def path_or_none(told: str | None) -> Path | None:
    """A path that is kept as text, or as null."""
    return None if told is None else Path(told)


def find_kept(path: Path) -> Path:
    """The folder of a kept guest: `path` itself, or the one in a scenario's results."""
    for folder in (path, path / FOLDER):
        if (folder / FACTS).is_file():
            return folder
    raise NotKept(
        f"no guest was kept in {path}",
        "name the results of a failed scenario of `blksnap-lab run --keep-failed`,"
        " e.g. results/latest/overflow/exhausted",
    )


def keep(
    machine: Machine,
    root: tuple[Path, Path],
    disks: tuple[Attached, ...],
    folder: Path,
    *,
    image: Image,
    debug_modules: Path | None,
    module_source: Path | None,
) -> None:
    """Save a running or panicked machine into a new folder. It goes on, unless it has panicked.

    `root`: its root disk, an overlay over a template's. Raises LabError, also if the host's disk is
    full; then nothing is left in the folder's place.
    """
    spec = machine.spec
    folder.mkdir(parents=True)
    panicked = machine.state is MachineState.PANICKED
    try:
        machine.qmp("stop")
        try:
            save_whole(machine, folder / STATE)
            _flatten(*root, image.disk, folder / ROOT)
            kept = tuple(_copy(disk, folder) for disk in disks)
            shutil.copyfile(spec.initrd, folder / INITRD)
        finally:
            if not panicked:
                machine.qmp("cont")
        facts = Kept(
            qemu=qemu_identity(),
            accel=spec.accel,
            kernel=spec.kernel,
            base=image.disk,
            memory=spec.memory,
            cpus=spec.cpus,
            one_thread=spec.one_thread,
            panicked=panicked,
            slots=tuple(slot.sizes for slot in spec.slots),
            disks=kept,
            debug_modules=debug_modules,
            module_source=module_source.resolve() if module_source else None,
        )
        text = json.dumps(asdict(facts), indent=1, default=str)
        (folder / FACTS).write_text(text + "\n", encoding="utf-8")
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise LabError(f"the guest cannot be kept in {folder}: {error}") from error
        raise


def _flatten(overlay: Path, between: Path, base: Path, target: Path) -> None:
    """Copy a root disk as one overlay over the image's, with what lies between.

    The overlay's header may name a folder that is gone, so it is told first what it lies on.
    """
    shutil.copyfile(overlay, target)
    onto = ["qemu-img", "rebase", "-q", "-f", "qcow2", "-F", "qcow2"]
    run([*onto, "-u", "-b", str(between), str(target)], timeout=COPY_LIMIT)
    run([*onto, "-b", str(base), str(target)], timeout=COPY_LIMIT)


def _copy(disk: Attached, folder: Path) -> KeptDisk:
    """Copy a disk with its holes, which takes no longer than its data is large."""
    source = disk.file.path
    command = ["cp", "--sparse=always", "--reflink=auto", "--", str(source), str(folder)]
    run(command, timeout=COPY_LIMIT)
    return KeptDisk(
        name=disk.spec.name,
        path=disk.path,
        file=source.name,
        format=disk.file.format,
        device=disk.place.device,
        node=disk.place.node,
        address=disk.place.address,
        slot=disk.slot,
        serial=disk.spec.serial_number,
        discard=disk.spec.discard,
        logical=disk.spec.logical_block_size,
        physical=disk.spec.physical_block_size,
    )


@dataclass(frozen=True)
class Opened:
    """A kept guest on a machine of its own, paused at the instant at which it was kept."""

    folder: Path
    kept: Kept
    machine: Machine
    keys: Keys

    def go_on(self) -> None:
        """Let the guest run. NotKept if it has panicked: there is nothing left to run."""
        if self.kept.panicked:
            raise NotKept("the kernel of this guest has panicked", "`blksnap-lab gdb`, `dump`")
        self.machine.qmp("cont")

    def ssh(self) -> Ssh:
        """A new connection to its sshd, to be closed by the caller."""
        return Ssh.connect(self.machine.ssh_port(), self.keys, timeout=SSH_LIMIT)


@contextlib.contextmanager
def open_kept(
    folder: Path, scratch: Path, keys: Keys, *, console_socket: bool = False
) -> Iterator[Opened]:
    """Open a kept guest, paused; `scratch` gets what changes, and its console."""
    kept = Kept.load(folder)
    if kept.qemu != qemu_identity():
        raise NotKept("QEMU has changed since this guest was kept", "run the scenario again")
    for needed in (kept.base, kept.kernel):
        if not needed.is_file():
            raise NotKept(
                f"{needed} is not in the cache any more, which this guest needs",
                "`blksnap-lab image build`, if nothing of the image has changed; or run again",
            )
    scratch.mkdir(parents=True, exist_ok=True)
    spec = _spec(kept, folder, scratch)
    machine = Machine(spec, scratch, console_socket=console_socket)
    with contextlib.closing(machine):
        machine.launch(restored=True)
        for disk in kept.disks:
            if disk.slot is None:
                machine.qmp("blockdev-add", _node(disk, folder, scratch))
                machine.qmp("device_add", _device(disk))
        restore_devices(machine, folder / STATE, whole=True)
        yield Opened(folder, kept, machine, keys)


def _spec(kept: Kept, folder: Path, scratch: Path) -> MachineSpec:
    root = scratch / ROOT
    make_overlay(root, folder / ROOT)
    slots = [Slot(sizes) for sizes in kept.slots]
    for disk in kept.disks:
        if disk.slot is not None:
            node = _node(disk, folder, scratch)
            slots[disk.slot] = replace(slots[disk.slot], node=node, serial=disk.serial)
    return MachineSpec(
        kernel=kept.kernel,
        initrd=folder / INITRD,
        accel=kept.accel,
        root=overlay_node("root", root, folder / ROOT),
        memory=kept.memory,
        cpus=kept.cpus,
        slots=tuple(slots),
        one_thread=kept.one_thread,
        pause_on_panic=True,
    )


def _node(disk: KeptDisk, folder: Path, scratch: Path) -> dict[str, object]:
    """The node of a disk: an overlay in `scratch`, so that what was kept stays as it was."""
    overlay = scratch / f"{disk.name}.overlay.qcow2"
    make_overlay(overlay, folder / disk.file, disk.format)
    return block_node(disk.node, HostFile(overlay, DiskFormat.QCOW2), discard=disk.discard)


def _device(disk: KeptDisk) -> dict[str, object]:
    return disk_device(
        disk.device,
        disk.node,
        disk.address,
        sizes=BlockSizes(disk.logical, disk.physical),
        serial=disk.serial,
        discard=disk.discard,
    )

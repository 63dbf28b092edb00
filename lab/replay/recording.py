"""A recording: a folder that has all that a replay needs but the image and QEMU itself.

`recording.json` (Recording), the log (`rr.bin`), the initramfs, the console as it was, where the
modules were (lab.guest.sections), and what every scenario leaves: YAML, verdict, events, command
line of QEMU. Disks begin as zeros and the root as the image, so nothing of them is kept.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.cache import contents, digest_of
from lab.errors import UsageError
from lab.guest.command import QEMU, Accel, MachineSpec, Recorded, Wiring, qemu_command
from lab.guest.disks import (
    BlockSizes,
    DiskFormat,
    DiskSpec,
    HostFile,
    Slot,
    block_node,
    make_overlay,
    overlay_node,
)
from lab.guest.identity import qemu_identity
from lab.guest.kept import path_or_none
from lab.process import run
from lab.programs import find_program
from lab.units import GIB

FOLDER = "replay"
FACTS, LOG, INITRD, CONSOLE, ROOT = (
    "recording.json",
    "rr.bin",
    "initramfs.cpio",
    "console.log",
    "root.qcow2",
)
STATES = "states.qcow2"
FIRMWARE = ("bios-256k.bin", "linuxboot_dma.bin")
CREATE_LIMIT = 60.0
# A discard in a qcow2 zeroes whole clusters only; a guest's may be a sector long.
SMALL_CLUSTERS_TO = 4 << 30


class NotRecorded(UsageError):  # noqa: N818 - it says what there is not
    """A folder holds no recording, or one that cannot be replayed here any more."""


@dataclass(frozen=True)
class Mark:
    """An instant of a recording: instructions since the start, and what began or happened then."""

    icount: int
    where: str
    what: str


@dataclass(frozen=True)
class RecordedDisk:
    """A disk of the recorded guest; sizes in bytes."""

    name: str
    size: int
    serial: str
    logical: int
    physical: int


@dataclass(frozen=True)
class Recording:
    """What a recording is made of. Paths are the host's, sizes bytes. `image`: digest of what the
    image, whose files `kernel` and `base` are, had in it.

    `end`: instructions when the recording was ended, None if the guest ended by itself.
    `debug_modules`, `module_source`: folders of the kernel modules with all their symbols, and of
    their sources; None without any.
    """

    scenario: str
    verdict: str
    reason: str
    qemu: str
    kernel: Path
    base: Path
    image: str
    started: str
    memory: int
    disks: tuple[RecordedDisk, ...]
    marks: tuple[Mark, ...]
    end: int | None
    debug_modules: Path | None
    module_source: Path | None

    @classmethod
    def load(cls, folder: Path) -> "Recording":
        """Read what is said in a folder of a recording; NotRecorded if it is none."""
        try:
            told = json.loads((folder / FACTS).read_text(encoding="utf-8"))
            return cls(
                **told
                | {
                    "kernel": Path(told["kernel"]),
                    "base": Path(told["base"]),
                    "disks": tuple(RecordedDisk(**disk) for disk in told["disks"]),
                    "marks": tuple(Mark(**mark) for mark in told["marks"]),
                    "debug_modules": path_or_none(told["debug_modules"]),
                    "module_source": path_or_none(told["module_source"]),
                }
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise NotRecorded(
                f"{folder} holds no recording ({error})", "`blksnap-lab replay DIR` makes one"
            ) from error

    def save(self, folder: Path) -> None:
        """Write it; the folder is a recording from now on."""
        text = json.dumps(asdict(self), indent=1, default=str)
        (folder / FACTS).write_text(text + "\n", encoding="utf-8")

    def check(self) -> None:
        """NotRecorded if it cannot be replayed by this machine any more."""
        if self.qemu != player_identity():
            raise NotRecorded(
                "QEMU, its firmware or the machine has changed since this was recorded",
                "record anew: --fresh",
            )
        for needed in (self.base, self.kernel):
            if not needed.is_file():
                raise NotRecorded(
                    f"{needed} is not in the cache any more, which the replay needs",
                    "record anew: --fresh",
                )
        # Of one recipe comes another image as Debian's archive moves on, in the same place.
        if contents(self.base.parent) != self.image:
            raise NotRecorded(
                "the image was built anew since this was recorded, and differs",
                "record anew: --fresh",
            )

    def replay_spec(self, folder: Path, scratch: Path) -> MachineSpec:
        """The machine that replays the recording in a folder; makes its disks in another one."""
        make_states(scratch / STATES)
        slots = tuple(
            Slot(
                BlockSizes(disk.logical, disk.physical),
                block_node(f"slot{number}", make_disk(scratch, disk.name, disk.size)),
                disk.serial,
            )
            for number, disk in enumerate(self.disks)
        )
        recorded = Recorded(folder / LOG, self.started, scratch / STATES)
        return machine_spec(
            self.kernel,
            folder / INITRD,
            make_root(scratch, self.base),
            memory=self.memory,
            slots=slots,
            recorded=recorded,
        )


def player_identity() -> str:
    """QEMU, and digests of its firmware, a package of its own, and of the machine it is told to be:
    with another a replay stands still.

    The same wherever a recording can be replayed.
    """
    folders = run([find_program(QEMU), "-L", "help"], timeout=CREATE_LIMIT).splitlines()
    found = [Path(folder) / name for name in FIRMWARE for folder in folders]
    contents = [path.read_bytes() for path in found if path.is_file()]
    return f"{qemu_identity()}; firmware {digest_of(*contents)}; machine {_machine_digest()}"


def _machine_digest() -> str:
    """Digest of the command line of a recorded machine, as if all its files were in no folder."""
    spec = machine_spec(
        Path("/kernel"),
        Path("/initrd"),
        {"node-name": "root"},
        memory=GIB,
        slots=(Slot(),),
        recorded=Recorded(Path("/log"), "2000-01-01"),
    )
    command = qemu_command(spec, Wiring(0, 0, Path("/console")))
    return digest_of(*command[command.index("-name") :])


def machine_spec(
    kernel: Path,
    initrd: Path,
    root: dict[str, object],
    *,
    memory: int,
    slots: tuple[Slot, ...],
    recorded: Recorded,
) -> MachineSpec:
    """The machine of a recorded guest, the same for recording and replaying; memory in bytes."""
    return MachineSpec(
        kernel=kernel.absolute(),
        initrd=initrd.absolute(),
        accel=Accel.TCG,
        root=root,
        memory=memory,
        cpus=1,
        slots=slots,
        one_thread=True,
        recorded=recorded,
    )


def recorded_disk(spec: DiskSpec) -> RecordedDisk:
    """What is to be remembered of a disk."""
    return RecordedDisk(
        name=spec.name,
        size=spec.size,
        serial=spec.serial_number,
        logical=spec.logical_block_size,
        physical=spec.physical_block_size,
    )


def make_disk(folder: Path, name: str, size: int) -> HostFile:
    """Make the file of a disk of `size` bytes, all zeros, in a format that can hold states."""
    path = folder / f"{name}.qcow2"
    clusters = "cluster_size=512" if size <= SMALL_CLUSTERS_TO else "cluster_size=65536"
    create = ["qemu-img", "create", "-q", "-f", "qcow2", "-o", clusters, str(path), str(size)]
    run(create, timeout=CREATE_LIMIT)
    return HostFile(path, DiskFormat.QCOW2)


def make_root(folder: Path, base: Path) -> dict[str, object]:
    """Make an empty overlay over the image's disk; its node."""
    overlay = folder / ROOT
    make_overlay(overlay, base)
    return overlay_node("root", overlay, base)


def make_states(path: Path) -> None:
    """Make the file that takes states of the machine."""
    run(["qemu-img", "create", "-q", "-f", "qcow2", str(path), "1M"], timeout=CREATE_LIMIT)


def find_recording(path: Path) -> Path | None:
    """The folder of a recording: `path` itself, or the one in a scenario's results; or None."""
    return next((one for one in (path, path / FOLDER) if (one / FACTS).is_file()), None)

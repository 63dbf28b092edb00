"""Disks of a guest: what a scenario declares, the host file behind one, and QEMU's words for both.

A disk is a sparse raw file: made in microseconds, and a discard of any range punches exactly that
hole, so that it reads as zeros. (A discard in a qcow2 only zeroes whole clusters.) A disk larger
than the host's file system lets a file be (16 TiB on ext4) becomes a sparse qcow2.
"""

import errno
import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from lab.errors import UsageError
from lab.process import run
from lab.units import SECTOR

CREATE_LIMIT = 60.0
# A virtio-blk serial number has 20 bytes.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,19}")
_BLOCK_SIZES = (512, 1024, 2048, 4096, 16384, 65536)
# Host's cache, never flushed: a power cut of the guest loses nothing that reached QEMU, and the
# host's own crash ends the run anyway.
_CACHE = {"direct": False, "no-flush": True}


class DiskFormat(StrEnum):
    """Form of the host file behind a disk."""

    RAW = "raw"
    QCOW2 = "qcow2"


@dataclass(frozen=True)
class BlockSizes:
    """Logical and physical block size of a disk, bytes."""

    logical: int = SECTOR
    physical: int = SECTOR

    def __str__(self) -> str:
        return f"{self.logical}/{self.physical}"


# What a template's machine has. A disk that fits no slot is hot-plugged into the clone, which takes
# seconds under emulation; a slot costs each clone 3 ms.
DEFAULT_SLOTS = (BlockSizes(),) * 18 + (BlockSizes(512, 4096),) * 2 + (BlockSizes(4096, 4096),) * 2


@dataclass(frozen=True)
class BadIo:
    """I/O of a disk that fails: its kind, a sector it must touch (None: any), once or always."""

    kind: str
    sector: int | None = None
    once: bool = False


@dataclass(frozen=True)
class Limits:
    """What a disk may do in a second: bytes read, bytes written, operations; 0: no limit."""

    read: int = 0
    write: int = 0
    operations: int = 0


@dataclass(frozen=True)
class DiskSpec:
    """A disk that a scenario declares. Sizes in bytes; `serial` is the name unless given.

    `log`: all that reaches it is logged (lab.crash.log), and may be lost at a power cut.
    `errors`: I/Os that fail.
    `server`: socket of a server (lab.tap) that reads and writes its file, and may let I/O fail.
    """

    name: str
    size: int
    logical_block_size: int = 512
    physical_block_size: int = 512
    discard: bool = True
    serial: str | None = None
    log: bool = False
    errors: tuple[BadIo, ...] = ()
    server: Path | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise UsageError(f"disk {self.name!r}: a name has 1 to 20 of A-Z a-z 0-9 _ . -")
        if not _NAME.fullmatch(self.serial_number):
            raise UsageError(
                f"disk {self.name}: serial number {self.serial!r}: it has 1 to 20 of"
                " A-Z a-z 0-9 _ . -"
            )
        if self.size <= 0 or self.size % self.logical_block_size:
            raise UsageError(
                f"disk {self.name}: {self.size} bytes are not whole logical blocks",
                f"a multiple of {self.logical_block_size}",
            )
        sizes = (self.logical_block_size, self.physical_block_size)
        if any(size not in _BLOCK_SIZES for size in sizes) or sizes[0] > sizes[1]:
            raise UsageError(
                f"disk {self.name}: logical and physical block size {sizes} cannot be",
                f"each one of {_BLOCK_SIZES}, the logical one not the larger",
            )

    @property
    def serial_number(self) -> str:
        """The serial number that the guest reads."""
        return self.serial or self.name

    @property
    def block_sizes(self) -> BlockSizes:
        """The block sizes; a slot has to have the same."""
        return BlockSizes(self.logical_block_size, self.physical_block_size)


@dataclass(frozen=True)
class HostFile:
    """The file on the host that holds a disk."""

    path: Path
    format: DiskFormat


def create_host_file(folder: Path, name: str, size: int) -> HostFile:
    """Make the sparse file of a disk of `size` bytes, all zeros."""
    path = folder / f"{name}.raw"
    try:
        with path.open("xb") as file:
            file.truncate(size)
    except OSError as error:
        path.unlink(missing_ok=True)
        if error.errno not in (errno.EFBIG, errno.EINVAL):
            raise
        path = folder / f"{name}.qcow2"
        run(["qemu-img", "create", "-q", "-f", "qcow2", str(path), str(size)], timeout=CREATE_LIMIT)
        return HostFile(path, DiskFormat.QCOW2)
    return HostFile(path, DiskFormat.RAW)


def make_overlay(overlay: Path, base: Path, form: DiskFormat = DiskFormat.QCOW2) -> None:
    """Make an empty qcow2 overlay over a disk."""
    options = ["-q", "-f", "qcow2", "-F", form.value, "-b", str(base.absolute())]
    run(["qemu-img", "create", *options, str(overlay)], timeout=CREATE_LIMIT)


def block_node(node: str, file: HostFile, *, discard: bool = True) -> dict[str, object]:
    """QEMU's description (blockdev-add) of the node that reads and writes a host file."""
    return {
        "driver": file.format.value,
        "node-name": node,
        "discard": "unmap" if discard else "ignore",
        "cache": _CACHE,
        "file": {
            "driver": "file",
            "filename": str(file.path),
            "discard": "unmap",
            "cache": _CACHE,
        },
    }


def logging_node(node: str, below: dict[str, object], log: Path) -> dict[str, object]:
    """A node that logs all that is written to the node below it; into an empty file.

    QEMU takes over the number of entries into the log's super block after each entry, so that a log
    is complete whenever QEMU is killed. Not without flushes: they have to come by.
    """
    return {
        "driver": "blklogwrites",
        "node-name": node,
        "discard": below["discard"],
        "file": below,
        "log": {"driver": "file", "filename": str(log), "cache": _CACHE},
        "log-sector-size": SECTOR,
        "log-super-update-interval": 1,
    }


def failing_node(
    node: str, below: dict[str, object], errors: tuple[BadIo, ...]
) -> dict[str, object]:
    """A node that lets some I/Os of the node below it fail (docs/devel/blkdebug of QEMU)."""
    rules = [
        {"event": "none", "iotype": error.kind, "errno": errno.EIO, "once": error.once}
        | ({} if error.sector is None else {"sector": error.sector})
        for error in errors
    ]
    return {
        "driver": "blkdebug",
        "node-name": node,
        "discard": below["discard"],
        "image": below,
        "inject-error": rules,
    }


def throttling(device: str, limits: Limits) -> dict[str, object]:
    """QEMU's words (block_set_io_throttle) for the limits of a virtio disk."""
    return {
        "id": f"/machine/peripheral/{device}/virtio-backend",
        "bps": 0,
        "bps_rd": limits.read,
        "bps_wr": limits.write,
        "iops": limits.operations,
        "iops_rd": 0,
        "iops_wr": 0,
    }


def served_node(node: str, name: str, server: Path, *, discard: bool) -> dict[str, object]:
    """A node whose bytes a server of network block devices has."""
    return {
        "driver": "nbd",
        "node-name": node,
        "discard": "unmap" if discard else "ignore",
        "server": {"type": "unix", "path": str(server)},
        "export": name,
    }


def overlay_node(node: str, overlay: Path, base: Path) -> dict[str, object]:
    """The node of a qcow2 overlay over a qcow2 base that is only read; whatever its header says."""
    below: dict[str, object] = {
        "driver": "qcow2",
        "node-name": f"{node}-base",
        "read-only": True,
        "cache": _CACHE,
        "file": {"driver": "file", "filename": str(base), "read-only": True, "cache": _CACHE},
    }
    return block_node(node, HostFile(overlay, DiskFormat.QCOW2)) | {"backing": below}


def empty_node(node: str) -> dict[str, object]:
    """The node of a disk slot that no scenario has declared: no bytes at all."""
    return {"driver": "null-co", "node-name": node, "size": 0, "read-zeroes": True}


@dataclass(frozen=True)
class Slot:
    """A disk that a machine starts with; without a node it has no bytes (yet)."""

    sizes: BlockSizes = field(default_factory=BlockSizes)
    node: dict[str, object] | None = None
    serial: str = ""


def disk_device(
    device: str, node: str, address: int, *, sizes: BlockSizes, serial: str, discard: bool = True
) -> dict[str, object]:
    """QEMU's description (device_add) of a virtio disk in a PCI slot."""
    return {
        "driver": "virtio-blk-pci",
        "id": device,
        "drive": node,
        "bus": "pci.0",
        "addr": f"{address:#x}",
        # One BAR less to map in every clone.
        "disable-legacy": "on",
        "serial": serial,
        "logical_block_size": sizes.logical,
        "physical_block_size": sizes.physical,
        "discard": discard,
        "discard_granularity": sizes.logical,
    }


def device_path(index: int) -> str:
    """The guest's path of its n-th virtio disk: 0 is /dev/vda, 26 is /dev/vdaa."""
    letters = ""
    number = index + 1
    while number:
        number, digit = divmod(number - 1, 26)
        letters = chr(ord("a") + digit) + letters
    return f"/dev/vd{letters}"

"""Disks that a kernel driver makes up in memory: null_blk, scsi_debug.

Sources: the kernel's Documentation/block/null_blk.rst and drivers/scsi/scsi_debug.c.
"""

from __future__ import annotations

from pathlib import Path

from lab.agent.processes import need
from lab.agent.stacks.base import CONFIGFS, Stack, mount_configfs, stack_kind, undone, wait_node
from lab.errors import UsageError

_MIB = 1 << 20
_SCSI_DEBUG = Path("/sys/bus/pseudo/drivers/scsi_debug")
_ZONE_MIB = 4
_BLOCK = 4096
_MAX_SECTORS = 2048  # of a request; more than a chunk, as of a real disk
_DEPTH = 128
_AT_ONCE, _BY_TIMER = 0, 2


def _whole_mib(kind: str, size: int) -> int:
    if size <= 0 or size % _MIB:
        raise UsageError(f"{kind}: size {size} is no whole number of MiB")
    return size // _MIB


@stack_kind("null_blk")
class NullBlk(Stack):
    """A disk of `size` bytes; zoned: of zones that are written from their start on only.

    no_gaps: of blocks of 4 KiB, and no request has gaps in memory (a virtual boundary).
    polled: it has a queue for requests whose ends are polled for.

    keeps: it has what was written; otherwise it moves no data and needs no memory, what is read
    means nothing, and it answers `latency_ns` after it was asked, any number of requests at once
    (0: at once, in the context of who asks).
    """

    def __init__(
        self,
        name: str,
        size: int,
        *,
        zoned: bool = False,
        no_gaps: bool = False,
        polled: bool = False,
        keeps: bool = True,
        latency_ns: int = 0,
    ) -> None:
        super().__init__(name)
        self._settings = {
            "size": _whole_mib("null_blk", size),
            "memory_backed": int(keeps),
        }
        if not keeps:
            self._settings |= {
                "max_sectors": _MAX_SECTORS,
                "hw_queue_depth": _DEPTH,
                "irqmode": _BY_TIMER if latency_ns else _AT_ONCE,
                "completion_nsec": latency_ns,
            }
        if zoned:
            self._settings |= {"zoned": 1, "zone_size": _ZONE_MIB}
        if no_gaps:
            self._settings |= {"blocksize": _BLOCK, "virt_boundary": 1}
        if polled:
            self._settings |= {"poll_queues": 1}
        self._folder = CONFIGFS / "nullb" / f"nullb_{name}"

    def create(self) -> None:
        need(["modprobe", "null_blk", "nr_devices=0"])
        mount_configfs()
        self._folder.mkdir()
        with undone(self.remove):
            for name, value in self._settings.items():
                self._set(name, value)
            self._set("power", 1)
            self.path = f"/dev/{self._disk()}"
            wait_node(self.path)

    def remove(self) -> None:
        self._set("power", 0)
        self._folder.rmdir()

    def _disk(self) -> str:
        """Called as its folder since 6.1, by its number before."""
        if Path("/sys/block", self._folder.name).exists():
            return self._folder.name
        return "nullb" + (self._folder / "index").read_text(encoding="ascii").strip()

    def _set(self, name: str, value: int) -> None:
        (self._folder / name).write_text(str(value), encoding="ascii")


@stack_kind("scsi_debug")
class ScsiDebug(Stack):
    """A SCSI disk of `size` bytes that takes discards, the only one of its driver.

    protected: its blocks carry checksums that the kernel must give with them (DIF and DIX).
    """

    def __init__(self, name: str, size: int, protected: bool = False) -> None:
        super().__init__(name)
        self._size = _whole_mib("scsi_debug", size)
        self._protection = ["dif=1", "dix=1", "guard=1"] if protected else []

    def create(self) -> None:
        if _SCSI_DEBUG.exists():
            raise UsageError("scsi_debug: there is such a disk already")
        need(["modprobe", "sd_mod"])
        options = [f"dev_size_mb={self._size}", "lbpu=1", *self._protection]
        need(["modprobe", "scsi_debug", *options])
        with undone(self.remove):
            folder = _SCSI_DEBUG / "adapter0"
            found = [path.name for path in folder.glob("host*/target*/*/block/*")]
            if len(found) != 1:
                raise UsageError(f"scsi_debug: its disk is one of {found or 'none'}")
            self.path = f"/dev/{found[0]}"
            wait_node(self.path)

    def remove(self) -> None:
        need(["modprobe", "-r", "scsi_debug"])

"""Loop devices, zram, partitions."""

from __future__ import annotations

import ctypes
import itertools
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

from lab.agent.block.device import opened
from lab.agent.processes import need
from lab.agent.stacks.base import Stack, sectors, stack_kind, undone, wait_node
from lab.agent.syscalls import ioctl_bytes
from lab.errors import UsageError

_BLKPG = 0x1269
_BLKPG_ADD, _BLKPG_DEL = 1, 2


@stack_kind("loop")
class Loop(Stack):
    """A loop device on the device `on`, or on `file`, which is made sparse of `size` bytes.

    A file that is there already keeps what it holds, as when a loop is detached and attached.
    """

    def __init__(
        self,
        name: str,
        on: Optional[str] = None,
        file: Optional[str] = None,
        size: Optional[int] = None,
        *,
        read_only: bool = False,
    ) -> None:
        super().__init__(name)
        if (on is None) == (file is None) or (file is not None and size is None):
            raise UsageError("loop: give `on`, or `file` and `size`")
        self._below = on or file or ""
        self._size = size if file is not None else None
        # Said, as it would else be that of the device below on some kernels.
        self._options = ["--sector-size", "512", *(["--read-only"] if read_only else [])]

    def create(self) -> None:
        if not Path("/dev/loop-control").exists():
            need(["modprobe", "loop"])
            wait_node("/dev/loop-control")
        if self._size is not None:
            Path(self._below).parent.mkdir(parents=True, exist_ok=True)
            with open(self._below, "ab") as file:  # noqa: PTH123
                file.truncate(self._size)
        self.path = need(["losetup", "--find", "--show", *self._options, self._below]).strip()
        wait_node(self.path)

    def remove(self) -> None:
        need(["losetup", "--detach", self.path])

    def resize(self, size: int) -> None:
        if self._size is None:
            super().resize(size)
        os.truncate(self._below, size)
        need(["losetup", "--set-capacity", self.path])


@stack_kind("zram")
class Zram(Stack):
    """A zram device of `size` bytes; the module is loaded if it is not there."""

    def __init__(self, name: str, size: int) -> None:
        super().__init__(name)
        sectors("zram: size", size)
        self._size = size
        self._number = -1

    def create(self) -> None:
        control = Path("/sys/class/zram-control/hot_add")
        if not control.exists():
            need(["modprobe", "zram", "num_devices=0"])
        self._number = int(control.read_text(encoding="ascii"))
        with undone(self.remove):
            size = Path(f"/sys/block/zram{self._number}/disksize")
            size.write_text(str(self._size), encoding="ascii")
            self.path = f"/dev/zram{self._number}"
            wait_node(self.path)

    def remove(self) -> None:
        Path("/sys/class/zram-control/hot_remove").write_text(str(self._number), encoding="ascii")


@stack_kind("partition")
class Partition(Stack):
    """A partition of the disk `on`: `size` bytes from byte `at` on.

    Made in the kernel alone (BLKPG), so the disk's content stays as it is.
    """

    def __init__(self, name: str, on: str, at: int, size: int) -> None:
        super().__init__(name)
        self._on, self._at, self._size = on, at, size
        sectors("partition: at", at)
        sectors("partition: size", size)
        self._number = 0

    def create(self) -> None:
        self._number = self._free_number()
        self._change(_BLKPG_ADD)
        self.path = _node(self._on, self._number)
        wait_node(self.path)

    def remove(self) -> None:
        self._change(_BLKPG_DEL)

    def _free_number(self) -> int:
        taken = set(_numbers(self._on))
        return next(number for number in itertools.count(1) if number not in taken)

    def _change(self, what: int) -> None:
        """BLKPG: struct blkpg_ioctl_arg with a struct blkpg_partition behind it."""
        partition = ctypes.create_string_buffer(
            struct.pack("=qqi64s64s4x", self._at, self._size, self._number, b"", b"")
        )
        size = struct.calcsize("=qqi64s64s4x")
        argument = struct.pack("=iii4xQ", what, 0, size, ctypes.addressof(partition))
        with opened(self._on, os.O_RDONLY) as fd:
            ioctl_bytes(fd, _BLKPG, argument)


def _numbers(disk: str) -> Iterator[int]:
    """Numbers of the partitions that the kernel knows on a disk."""
    for entry in Path("/sys/class/block", Path(disk).resolve().name).glob("*/partition"):
        yield int(entry.read_text(encoding="ascii"))


def _node(disk: str, number: int) -> str:
    """The node of a partition: names that end in a digit get a p between."""
    return f"{disk}p{number}" if disk[-1].isdigit() else f"{disk}{number}"

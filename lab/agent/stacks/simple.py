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
from lab.agent.processes import need, run
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
        direct: bool = False,
        block_size: int = 512,
        read_only: bool = False,
    ) -> None:
        super().__init__(name)
        if (on is None) == (file is None) or (file is not None and size is None):
            raise UsageError("loop: give `on`, or `file` and `size`")
        self._below = on or file or ""
        self._size = size if file is not None else None
        self._options = ["--sector-size", str(block_size)]
        self._options += ["--direct-io=on"] if direct else []
        self._options += ["--read-only"] if read_only else []

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

    Made in the kernel alone (BLKPG), so the disk's content stays as it is; with `table`, by sfdisk
    in a GPT table, which is written to the disk.
    """

    def __init__(self, name: str, on: str, at: int, size: int, table: bool = False) -> None:
        super().__init__(name)
        self._on, self._at, self._size = on, at, size
        self._sectors = sectors("partition: at", at), sectors("partition: size", size)
        self._table = table
        self._number = 0

    def create(self) -> None:
        if self._table:
            self._number = self._write_table()
        else:
            self._number = self._free_number()
            self._change(_BLKPG_ADD)
        self.path = _node(self._on, self._number)
        wait_node(self.path)

    def remove(self) -> None:
        if self._table:
            need(["sfdisk", "--quiet", "--delete", self._on, str(self._number)])
        else:
            self._change(_BLKPG_DEL)

    def _write_table(self) -> int:
        """Append to the disk's table, or begin one; the number of the new partition."""
        has_table = run(["sfdisk", "--dump", self._on]).status == 0
        before = set(_numbers(self._on))
        append = ["--append"] if has_table else []
        header = "" if has_table else "label: gpt\n\n"
        start, size = self._sectors
        need(
            ["sfdisk", "--quiet", "--wipe", "never", *append, self._on],
            input=f"{header}start={start}, size={size}\n",
        )
        return min(set(_numbers(self._on)) - before)

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

"""Device-mapper targets through dmsetup: linear, delay, error, flakey, multipath, stripe, ...

Source of the tables: the kernel's Documentation/admin-guide/device-mapper.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from typing import Optional

from lab.agent.block.device import geometry, opened
from lab.agent.processes import need
from lab.agent.stacks.base import Stack, sectors, stack_kind, undone, wait_node
from lab.errors import UsageError
from lab.units import SECTOR

_KEY = "5a" * 64
_THIN_BLOCK = 128  # sectors
_SUPERBLOCK = 4096


class Mapped(Stack):
    """A device-mapper device with the table that table() gives."""

    @abstractmethod
    def table(self) -> str:
        """Lines "start length target arguments"."""

    def create(self) -> None:
        self.path = _make(self.name, self.table())

    def remove(self) -> None:
        _unmake(self.name)


class MappedOn(Mapped):
    """One that is told nothing but the device `on` below."""

    def __init__(self, name: str, on: str) -> None:
        super().__init__(name)
        self._on = on


def _make(name: str, table: str) -> str:
    """A device-mapper device; its path."""
    need(["dmsetup", "create", name, "--noudevsync", "--noudevrules"], input=table)
    path = f"/dev/mapper/{name}"
    wait_node(path)
    return path


def _unmake(name: str) -> None:
    need(["dmsetup", "remove", "--noudevsync", "--retry", name])


def size_of(path: str) -> int:
    """Size of a device in sectors."""
    with opened(path, os.O_RDONLY) as fd:
        return geometry(fd).size // SECTOR


def _zone(what: str, on: str, at: int, size: int, target: str) -> str:
    """The table of a device that is as `on`, but for a range of sectors, which is as `target`."""
    total, after = size_of(on), at + size
    if size <= 0 or after > total:
        raise UsageError(f"{what}: sectors {at}+{size} of {total}")
    lines = [f"{at} {size} {target}"]
    if at:
        lines.insert(0, f"0 {at} linear {on} 0")
    if after < total:
        lines.append(f"{after} {total - after} linear {on} {after}")
    return "\n".join(lines) + "\n"


@stack_kind("linear")
class Linear(Mapped):
    """A window of `size` bytes (all the rest if null) on the device `on` from byte `at` on."""

    def __init__(self, name: str, on: str, at: int = 0, size: Optional[int] = None) -> None:
        super().__init__(name)
        self._on, self._at = on, sectors("linear: at", at)
        self._size = None if size is None else sectors("linear: size", size)

    def table(self) -> str:
        size = size_of(self._on) - self._at if self._size is None else self._size
        return self._window(size)

    def _window(self, size: int) -> str:
        return f"0 {size} linear {self._on} {self._at}\n"

    def resize(self, size: int) -> None:
        count = sectors("linear: size", size)
        need(["dmsetup", "reload", self.name], input=self._window(count))
        self._size = count
        need(["dmsetup", "suspend", self.name])
        need(["dmsetup", "resume", "--noudevsync", "--noudevrules", self.name])


@stack_kind("announcing")
class Announcing(Mapped):
    """The device `on` that announces `what`; by a target of the lab, which has to be loaded."""

    def __init__(self, name: str, on: str, what: str) -> None:
        super().__init__(name)
        self._on, self._what = on, what

    def table(self) -> str:
        return f"0 {size_of(self._on)} {self._what} {self._on}\n"


@stack_kind("delay")
class Delay(Mapped):
    """The device `on`, but reads and writes of a range wait so many milliseconds.

    The range: `size` bytes (all the rest if null) from byte `at` on.
    """

    def __init__(
        self,
        name: str,
        on: str,
        *,
        read_ms: int = 0,
        write_ms: int = 0,
        at: int = 0,
        size: Optional[int] = None,
    ) -> None:
        super().__init__(name)
        self._on, self._read, self._write = on, read_ms, write_ms
        self._at = sectors("delay: at", at)
        self._size = None if size is None else sectors("delay: size", size)

    def table(self) -> str:
        on, at = self._on, self._at
        size = size_of(on) - at if self._size is None else self._size
        return _zone("delay", on, at, size, f"delay {on} {at} {self._read} {on} {at} {self._write}")


@stack_kind("error")
class ErrorZone(Mapped):
    """The device `on` with `size` bytes from byte `at` on that cannot be read or written."""

    def __init__(self, name: str, on: str, at: int, size: int) -> None:
        super().__init__(name)
        self._on = on
        self._at, self._size = sectors("error: at", at), sectors("error: size", size)

    def table(self) -> str:
        return _zone("error", self._on, self._at, self._size, "error")


@stack_kind("flakey")
class Flakey(Mapped):
    """The device `on`, working for up_s seconds, then failing for down_s; options of dm-flakey."""

    def __init__(
        self, name: str, on: str, up_s: int, down_s: int, options: Optional[list[str]] = None
    ) -> None:
        super().__init__(name)
        self._on, self._up, self._down = on, up_s, down_s
        self._options = options or []

    def table(self) -> str:
        words = [str(len(self._options)), *self._options] if self._options else []
        extra = " ".join(["", *words])
        return f"0 {size_of(self._on)} flakey {self._on} 0 {self._up} {self._down}{extra}\n"


@stack_kind("multipath")
class Multipath(MappedOn):
    """The device `on` as the one path of a multipath device."""

    def table(self) -> str:
        return f"0 {size_of(self._on)} multipath 0 0 1 1 round-robin 0 1 1 {self._on} 1\n"


@stack_kind("stripe")
class Stripe(Mapped):
    """Stripes of `chunk` bytes over the devices `over`; as long as whole stripes fit on all."""

    def __init__(self, name: str, over: list[str], chunk: int = 65536) -> None:
        super().__init__(name)
        self._over, self._chunk = over, sectors("stripe: chunk", chunk)
        if not self._chunk:
            raise UsageError("stripe: chunk 0")

    def table(self) -> str:
        each = min(map(size_of, self._over)) // self._chunk * self._chunk
        places = " ".join(f"{one} 0" for one in self._over)
        count = len(self._over)
        return f"0 {each * count} striped {count} {self._chunk} {places}\n"


@stack_kind("crypt")
class Crypt(MappedOn):
    """The device `on`, encrypted (dm-crypt, aes-xts-plain64, always the same key)."""

    def table(self) -> str:
        return f"0 {size_of(self._on)} crypt aes-xts-plain64 {_KEY} 0 {self._on} 0\n"


@stack_kind("thin")
class Thin(Mapped):
    """A thin volume of `size` bytes in a pool of its own over [metadata, data], both anew."""

    def __init__(self, name: str, over: list[str], size: int) -> None:
        super().__init__(name)
        if len(over) != 2:
            raise UsageError(f"thin: over a device for metadata and one for data, not {len(over)}")
        self._metadata, self._data = over
        self._size = sectors("thin: size", size)
        self._pool = f"{name}-pool"

    def table(self) -> str:
        return f"0 {self._size} thin /dev/mapper/{self._pool} 0\n"

    def create(self) -> None:
        with opened(self._metadata, os.O_WRONLY) as fd:
            os.pwrite(fd, bytes(_SUPERBLOCK), 0)  # Zeros there ask for a new pool.
            os.fsync(fd)
        places = f"{self._metadata} {self._data} {_THIN_BLOCK} 0"
        _make(self._pool, f"0 {size_of(self._data)} thin-pool {places}\n")
        with undone(lambda: _unmake(self._pool)):
            need(["dmsetup", "message", self._pool, "0", "create_thin 0"])
            super().create()

    def remove(self) -> None:
        super().remove()
        _unmake(self._pool)

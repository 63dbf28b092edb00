"""Loads "ring" and "file_ring": a counter that goes from device to device, one write at a time.

Number n is written to the first, then to the second ... each only after the one before completed;
then n + 1. So at any instant no device is ahead of the one before it, and behind by at most one.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from lab.agent.block.ways import How
from lab.agent.block.writing import put, way_to
from lab.agent.loads.base import Load, load_kind
from lab.agent.syscalls import os_error
from lab.agent.typed import checked
from lab.errors import UsageError
from lab.units import SECTOR

_WRITE_SECTORS = 8


class _Counting(Load):
    """What both rings report: last_n (round complete on all), started_n (on the first at least)."""

    def __init__(self) -> None:
        super().__init__()
        self._started = 0
        self._last = 0

    def begin(self) -> None:
        self.spawn(self._run)

    @abstractmethod
    def _run(self) -> None:
        """Go round until the end."""

    def report(self, start: int) -> Mapping[str, Any]:
        return {"last_n": self._last, "started_n": self._started}


def _device(path: str, tag: int) -> tuple[str, int]:
    return path, tag


@load_kind("ring")
class Ring(_Counting):
    """Stamped writes of 4 KiB, seq = n, to each of `devices` [{path, tag}...] in turn.

    Number n goes to sector region[0] + ((n - 1) * 8) % region[1] of every device, so the last
    region[1] / 8 numbers are all there to be seen.
    """

    def __init__(
        self,
        devices: list[dict[str, Any]],
        region: tuple[int, int] = (0, 8),
        how: How = How.DSYNC,
    ) -> None:
        super().__init__()
        if region[0] < 0 or region[1] < _WRITE_SECTORS or region[1] % _WRITE_SECTORS:
            raise UsageError(f"ring: region {region} is no multiple of {_WRITE_SECTORS} sectors")
        if how in (How.BUFFERED, How.WRITTEN_BACK):
            raise UsageError("ring: buffered writes complete in no order; use dsync")
        self._devices = [_device(**checked(_device, one, "ring: devices")) for one in devices]
        self._region = region
        self._how = how

    def begin(self) -> None:
        for path, _ in self._devices:
            with way_to(path, self._how, _WRITE_SECTORS * SECTOR):
                pass  # A wrong path or an impossible way is the request's error.
        super().begin()

    def _run(self) -> None:
        size = _WRITE_SECTORS * SECTOR
        with ExitStack() as stack:
            ways = [
                (stack.enter_context(way_to(path, self._how, size)), path, tag)
                for path, tag in self._devices
            ]
            while not self.ending:
                number = self._last + 1
                self._started = number
                sector = self._region[0] + (number - 1) * _WRITE_SECTORS % self._region[1]
                for way, path, tag in ways:
                    put(way, tag, 0, (sector, _WRITE_SECTORS, number))
                    way.finish(sync=False)
                    if way.failures:
                        raise os_error(way.failures[0].errno, f"write {number} to {path}")
                self._last = number


@load_kind("file_ring")
class FileRing(_Counting):
    """20 decimal digits and a newline, rewritten in place and fsync'd, file after file."""

    def __init__(self, files: list[str]) -> None:
        super().__init__()
        self._files = files

    def _run(self) -> None:
        with ExitStack() as stack:
            fds = []
            for path in self._files:
                fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
                stack.callback(os.close, fd)
                fds.append(fd)
            while not self.ending:
                number = self._last + 1
                self._started = number
                for fd in fds:
                    os.pwrite(fd, b"%020d\n" % number, 0)
                    os.fsync(fd)
                self._last = number

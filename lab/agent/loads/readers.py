"""Load "readers": random reads of a device or image; every sector must be what a sector may be."""

from __future__ import annotations

import errno
import os
import random
import time
from collections import Counter
from collections.abc import Mapping
from enum import Enum
from typing import Any, Optional

from lab import stamp
from lab.agent.block.device import geometry, opened
from lab.agent.block.memory import Aligned
from lab.agent.loads.base import Load, load_kind
from lab.errors import UsageError
from lab.units import SECTOR

_MAX_BAD = 50


class Expect(str, Enum):
    """What reads may do."""

    ANY = "any"  # succeed or fail, in any order
    EIO_AFTER = "eio-after"  # from the first EIO on, no read that is begun may succeed


@load_kind("readers")
class Readers(Load):
    """`workers` threads read `size` bytes at random places of `path`.

    Each sector must be zero or hold a whole stamp that names its own place; with `newest`, pairs of
    a tag and a number, of one of these tags and of no later write. What is not so is in `bad`; a
    stamp that must not be there with its tag and number.
    """

    def __init__(
        self,
        path: str,
        *,
        workers: int = 2,
        size: int = 65536,
        direct: bool = True,
        expect: Expect = Expect.ANY,
        seed: int = 1,
        newest: Optional[list[tuple[int, int]]] = None,
    ) -> None:
        super().__init__()
        with opened(path, os.O_RDONLY) as fd:
            self._length = geometry(fd).size // SECTOR
        self._size = min(size, self._length * SECTOR) // SECTOR * SECTOR
        if self._size <= 0:
            raise UsageError(f"readers: size {size} of {self._length} sectors")
        self._path, self._flags = path, os.O_RDONLY | (os.O_DIRECT if direct else 0)
        self._expect, self._seed, self._workers = expect, seed, workers
        self._newest = None if newest is None else dict(newest)
        self._reads = 0
        self._errors: Counter[int] = Counter()
        self._max_latency = 0
        self._bad: list[list[Any]] = []
        self._bad_count = 0
        self._first_failure: Optional[int] = None

    def begin(self) -> None:
        for worker in range(self._workers):
            self.spawn(self._work, random.Random(self._seed * 1_000_003 + worker))

    def _work(self, dice: random.Random) -> None:
        step = self._size // SECTOR
        with opened(self._path, self._flags) as fd, Aligned(self._size) as memory:
            while not self.ending:
                sector = dice.randrange(-(-self._length // step)) * step
                self._read(fd, memory, min(sector, self._length - step))

    def _read(self, fd: int, memory: Aligned, sector: int) -> None:
        begun = time.monotonic_ns()
        data, number = b"", 0
        try:
            with memory[:] as view:
                got = os.preadv(fd, [view], sector * SECTOR)
                data = bytes(view[:got])
            if not data:
                number = errno.ENODATA  # the device is gone, or has shrunk
        except OSError as error:
            number = error.errno or 5
        done = time.monotonic_ns()
        wrong = self._judged(sector, data) if not number else []
        with self.lock:
            self._reads += 1
            self._max_latency = max(self._max_latency, done - begun)
            if number:
                self._errors[number] += 1
                if self._first_failure is None:
                    self._first_failure = done
            elif (
                self._expect is Expect.EIO_AFTER
                and self._first_failure is not None
                and begun > self._first_failure
            ):
                wrong.append([sector, "read well after a read had failed"])
            self._bad_count += len(wrong)
            self._bad += wrong[: _MAX_BAD - len(self._bad)]

    def _judged(self, sector: int, data: bytes) -> list[list[Any]]:
        if len(data) != self._size:
            return [[sector, f"only {len(data)} bytes were read"]]
        wrong: list[list[Any]] = []
        for run in stamp.scan(data, sector):
            if run.kind is stamp.Kind.GARBAGE:
                wrong.append([run.sector, f"garbage, {run.count} sectors: {run.head}"])
            elif run.kind is stamp.Kind.STAMP:
                why = self._wrong_stamp(run)
                if why:
                    wrong.append([run.sector, why, run.tag, run.seq])
        return wrong

    def _wrong_stamp(self, run: stamp.Run) -> str:
        if run.origin != run.sector:
            return f"holds what belongs to sector {run.origin}"
        if self._newest is None or run.tag is None or run.seq is None:
            return ""
        if run.tag not in self._newest:
            return "holds a write by somebody else"
        return "holds a later write" if run.seq > self._newest[run.tag] else ""

    def report(self, start: int) -> Mapping[str, Any]:
        """reads, errors {errno: count}, max_latency_ns, bad [[sector, why...]...], bad_count."""
        with self.lock:
            return {
                "reads": self._reads,
                "errors": {str(number): count for number, count in self._errors.items()},
                "max_latency_ns": self._max_latency,
                "bad": list(self._bad),
                "bad_count": self._bad_count,
            }

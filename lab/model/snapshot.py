"""A snapshot as it must be: its devices, its images, whether they are spoiled."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field

from lab.model.content import Cell, Stamp, either, one
from lab.model.devices import Node
from lab.model.runmap import RunMap
from lab.model.seen import LoadWrite
from lab.model.storage import NEVER, StorageModel, Touched


@dataclass
class ImageModel:
    """The image of one device: frozen content, and what was written into the image itself."""

    node: Node
    """The original."""
    sectors: int
    frozen: RunMap[Cell]
    touched: Touched
    took: tuple[int, int]
    """When take was called and had returned (guest nanoseconds)."""
    own: RunMap[Cell | bool] = field(init=False)
    """Own writes; False where there is none."""
    spoiled: int = 0
    """The errno of its corrupted event; 0 while it is good."""

    def __post_init__(self) -> None:
        self.own = RunMap(self.sectors, False)

    def expected(self) -> RunMap[Cell]:
        """What each sector may hold."""
        cells = self.frozen.copy()
        for run in self.own.runs():
            if not isinstance(run.value, bool):
                cells.set(run.start, run.count, run.value)
        return cells

    def put(
        self,
        sector: int,
        count: int,
        stamp: Stamp,
        *,
        sure: bool = True,
        issued: int | None = None,
    ) -> None:
        """A write into the image; not `sure`: or not. issued: when, if that is known."""
        if sure:
            self.own.set(sector, count, one(stamp))
        else:
            for run in list(self.expected().runs(sector, count)):
                self.own.set(run.start, run.count, either(run.value, one(stamp)))
        self.touched.touch(sector, count, sure=sure, issued=issued)

    def forget(self, sector: int = 0, count: int | None = None) -> None:
        """Content that no model knows: a mounted image, or a place that holds storage."""
        self.frozen.set(sector, count, None)
        self.own.set(sector, count, False)

    def load_write(self, write: LoadWrite, stamp: Stamp) -> None:
        """A write of a load to the original, with its times: it is in the image if it was done
        before take was called, not if it was issued after take returned, else it may be."""
        called, returned = self.took
        if write.issued >= returned:
            sure = write.errno == 0
            self.touched.touch(write.sector, write.count, sure=sure, issued=write.issued)
            return
        cell = one(stamp)
        if write.done is not None and write.done < called and write.errno == 0:
            self.frozen.set(write.sector, write.count, cell)
            return
        self.frozen.update(write.sector, write.count, lambda old: either(old, cell))
        self.touched.touch(write.sector, write.count, sure=False, issued=write.issued)


@dataclass
class SnapshotModel:
    """One snapshot, created or taken."""

    name: str
    devices: tuple[str, ...]
    storage: StorageModel
    images: dict[str, ImageModel] = field(default_factory=dict)
    """By name of the original; empty until the take."""

    @property
    def taken(self) -> bool:
        """Whether it has images."""
        return bool(self.images)

    def corrupted(self, device: str, number: int, at_ns: int) -> None:
        """A corrupted event named a device. After the first one with ENOSPC no write that is told
        without its time can have been the reason."""
        if device in self.images:
            self.images[device].spoiled = number
        overflow = self.storage.overflow_at
        if number == errno.ENOSPC and (overflow is None or at_ns < overflow):
            self.storage.overflow_at = at_ns
            for image in self.images.values():
                image.touched.now = at_ns + 1

    def need(self, *, most: bool, by: int = NEVER - 1) -> int:
        """Sectors of storage that all copies take; see Touched."""
        return sum(image.touched.need(most=most, by=by) for image in self.images.values())

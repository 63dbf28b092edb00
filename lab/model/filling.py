"""How full the difference storage of a snapshot must be: what its copies take, at least and at
most, now and at each of some writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lab.model.checks import Checks
from lab.model.seen import LoadWrite
from lab.model.storage import Touched

POINTS = 64
"""Of how many writes of one series the filling is told."""


class Fill(NamedTuple):
    """Sectors that the copies of a snapshot take, at a time of the guest (0: now)."""

    at_ns: int
    least: int
    most: int


class Filling(Checks):
    """What storage is needed for; only what the model knows of writes counts."""

    def fill(self, snapshot: str) -> Fill:
        """What the copies of a snapshot take now."""
        found = self._snapshots[snapshot]
        return Fill(0, found.need(most=False), found.need(most=True))

    def storage_given(self, snapshot: str) -> tuple[tuple[int | None, int], ...]:
        """When (guest nanoseconds, None: not known) and how many sectors of storage were given."""
        return tuple(self._snapshots[snapshot].storage.appended)

    def writers_device(self, load: str) -> str:
        """The device that a writers load writes to, or to whose image."""
        return self._writers[load][0]

    def fill_while(self, load: str, writes: Sequence[LoadWrite]) -> dict[str, tuple[Fill, ...]]:
        """How full each snapshot was when each of some writes of a load had ended, by snapshot.

        To be asked before the model is told of these writes, and changes nothing.
        """
        if load in self._image_writers:
            return {}
        device = self._writers[load][0]
        node = self._nodes[device]
        ended = sorted((one for one in writes if one.done is not None), key=lambda w: w.done or 0)
        told: dict[str, tuple[Fill, ...]] = {}
        for name, snapshot in self._snapshots.items():
            image = snapshot.images.get(device)
            if image is None or image.node is not node:
                continue
            others = [
                snapshot.need(most=which) - image.touched.need(most=which)
                for which in (False, True)
            ]
            told[name] = tuple(
                Fill(at, others[0] + least, others[1] + most)
                for at, least, most in _replayed(image.touched, image.took, ended)
            )
        return told


def _replayed(touched: Touched, took: tuple[int, int], ended: Sequence[LoadWrite]) -> list[Fill]:
    """What one image's copies take after each of some writes; see ImageModel.load_write."""
    copy = Touched(touched.grain, touched.sectors)
    copy.surely, copy.maybe = touched.surely.copy(), touched.maybe.copy()
    every = max(1, -(-len(ended) // POINTS))
    made: list[Fill] = []
    for number, write in enumerate(ended):
        called, returned = took
        if write.done is not None and write.done >= called:
            sure = write.issued >= returned and write.errno == 0
            copy.touch(write.sector, write.count, sure=sure)
        if number % every == every - 1 or number == len(ended) - 1:
            made.append(Fill(write.done or 0, copy.need(most=False), copy.need(most=True)))
    return made

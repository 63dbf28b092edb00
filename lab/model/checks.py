"""What the model has to say of what was seen in the guest."""

from __future__ import annotations

import errno
import random
from collections.abc import Sequence
from typing import NamedTuple

from lab.model.compare import EXACT, Limits, compare, seen_text
from lab.model.content import Cell, is_certain
from lab.model.disagreement import Disagreements, general
from lab.model.loads import Loads
from lab.model.picture import Part, Picture, paint
from lab.model.runmap import RunMap
from lab.model.seen import MapRun, Seen, TrackerSeen
from lab.scenario.steps_io import ImageExpect
from lab.units import SECTOR

PICTURES = 16
"""Pictures of disagreements that are kept."""
SAMPLES = 16
SAMPLE_SECTORS = 128
EDGE_SECTORS = 2048


class MapState(NamedTuple):
    """A map: after how many takes of its tracker, of which generation, the number of the last take,
    and its blocks of `block_size` bytes."""

    takes: int
    generation: str
    number: int
    blocks: int
    block_size: int


class Checks(Loads):
    """Comparisons: () is right. pictures: of what was wrong."""

    def __init__(self, parameters: dict[str, int] | None = None) -> None:
        super().__init__(parameters)
        self.pictures: list[Picture] = []

    def compare_original(
        self, device: str, seen: Sequence[Seen], start: int = 0, count: int | None = None
    ) -> Disagreements:
        """An original as scanned over [start, start+count)."""
        node = self._nodes[device]
        span = (start, node.sectors - start if count is None else count)
        found = compare(f"original {device}", node.view(), seen, span, describe=self.describe)
        return self._pictured(found, node.sectors, seen)

    def compare_image(
        self,
        snapshot: str,
        device: str,
        seen: Sequence[Seen],
        *,
        start: int = 0,
        count: int | None = None,
        expect: ImageExpect | None = None,
    ) -> Disagreements:
        """An image as scanned over [start, start+count); `expect` None: EIO if it is spoiled."""
        image = self._snapshots[snapshot].images[device]
        if expect is None:
            expect = ImageExpect.EIO if image.spoiled else ImageExpect.MODEL
        limits = Limits(
            must_fail=expect is ImageExpect.EIO, may_fail=expect is ImageExpect.MODEL_OR_EIO
        )
        return self._compare_frozen(
            f"image of {device} in {snapshot}", (snapshot, device), seen, (start, count), limits
        )

    def compare_backup(
        self, snapshot: str, device: str, seen: Sequence[Seen], start: int, count: int | None
    ) -> Disagreements:
        """A backup device as scanned; it must hold what the image must hold."""
        where = f"backup of {device} from {snapshot}"
        return self._compare_frozen(where, (snapshot, device), seen, (start, count), EXACT)

    def _compare_frozen(
        self,
        where: str,
        image_of: tuple[str, str],
        seen: Sequence[Seen],
        span: tuple[int, int | None],
        limits: Limits,
    ) -> Disagreements:
        image = self._snapshots[image_of[0]].images[image_of[1]]
        start, count = span
        full = (start, image.sectors - start if count is None else count)
        found = compare(where, image.expected(), seen, full, describe=self.describe, limits=limits)
        return self._pictured(found, image.sectors, seen)

    def _pictured(self, found: Disagreements, size: int, seen: Sequence[Seen]) -> Disagreements:
        """The same, with a picture kept of what is wrong."""
        if found:
            pieces = sorted(seen, key=lambda one: one.sector)
            parts = (Part(one.sector, one.count, seen_text(one, self.describe)) for one in pieces)
            self._keep(paint(size, found, parts))
        return found

    def _keep(self, picture: Picture | None) -> None:
        if picture is None or picture in self.pictures or len(self.pictures) >= PICTURES:
            return
        self.pictures.append(picture)

    def compare_map(
        self, device: str, runs: Sequence[MapRun], first: int = 0, count: int | None = None
    ) -> Disagreements:
        """The map of a device as read from the module, or the part that was asked for."""
        tracker = self._trackers[device]
        found = tracker.compare(runs, first, count)
        if found:
            parts = (Part(run.block, run.count, str(run.value)) for run in runs)
            self._keep(paint(tracker.grain.count, found, parts))
        return found

    def map_state(self, device: str) -> MapState | None:
        """What the map of a device that is tracked is about now."""
        tracker = self._trackers.get(device)
        if tracker is None:
            return None
        generation = tracker.generation_id or f"number {tracker.eras[-1].generation}"
        grain, takes = tracker.grain, len(tracker.eras) - 1
        return MapState(takes, generation, tracker.previous, grain.count, grain.sectors * SECTOR)

    def compare_tracker(self, device: str, seen: TrackerSeen | None) -> Disagreements:
        """A tracker's record (None: there is none); call it after every take."""
        where = f"tracker of {device}"
        tracker = self._trackers.get(device)
        if tracker is None:
            return () if seen is None else (general(where, "a tracker", "none"),)
        if seen is None:
            return (general(where, "no tracker", "one"),)
        return tracker.observe(seen)

    def check_overflow(self, snapshot: str, *, justified: bool) -> Disagreements:
        """Whether a snapshot may be spoiled: never, or when the copies did not fit."""
        found = self._snapshots[snapshot]
        spoiled = {name: image.spoiled for name, image in found.images.items() if image.spoiled}
        where = f"snapshot {snapshot}"
        if spoiled and not justified:
            return (general(where, f"spoiled: {', '.join(spoiled)}", "not spoiled"),)
        others = [n for n, e in spoiled.items() if e != errno.ENOSPC]
        if others:
            return (general(where, f"spoiled for another reason: {', '.join(others)}", "ENOSPC"),)
        at = found.storage.overflow_at
        if spoiled and at is not None:
            # Only what had been issued by then can have needed room.
            room, need = found.storage.capacity_at(at), found.need(most=True, by=at)
            if need <= room:
                text = f"overflow although {need} of {room} sectors were needed"
                return (general(where, text, "no overflow while appended space is left"),)
        return ()

    def low_space_events(self, snapshot: str) -> tuple[int, int]:
        """Fewest and most low-space events, when each was answered in full (K19)."""
        found = self._snapshots[snapshot]
        least, most = (found.need(most=which) for which in (False, True))
        return found.storage.low_space_events(least), found.storage.low_space_events(most)

    def scan_plan(self, device: str, budget: int) -> list[tuple[int, int]]:
        """Which (sector, count) to read of a device or its image: all of it if that is within
        `budget` sectors; else all that was ever written, both ends, and samples in between. The
        image of a device that is gone may be there still."""
        node = self._nodes.get(device) or self._gone[device]
        if node.sectors <= budget:
            return [(0, node.sectors)]
        wanted: RunMap[bool] = RunMap(node.sectors, False)
        written = node.root.written.window(node.base, node.sectors)
        draw = random.Random(device)
        samples = [(draw.randrange(node.sectors), SAMPLE_SECTORS) for _ in range(SAMPLES)]
        ends = [(0, EDGE_SECTORS), (node.sectors - EDGE_SECTORS, EDGE_SECTORS)]
        places = [(run.start, run.count) for run in written.runs() if run.value]
        for start, count in (*places, *samples, *ends):
            first = start // 8 * 8
            wanted.set(first, -(-(start + count) // 8) * 8 - first, True)
        return [(run.start, run.count) for run in wanted.runs() if run.value]

    def doubtful_ranges(
        self, device: str, snapshot: str | None = None
    ) -> tuple[tuple[int, int], ...]:
        """(sector, count) of all that the model does not know for sure, of a device or of its
        image: whose content is anything, or one of several."""
        if snapshot is None:
            return _doubtful(self._nodes[device].view())
        return _doubtful(self._snapshots[snapshot].images[device].expected())

    def storage_ranges(self, device: str) -> tuple[tuple[int, int], ...]:
        """(sector, count) on a device that hold difference storage of living snapshots."""
        node = self._nodes[device]
        found = []
        for snapshot in self._snapshots.values():
            for root, sector, count in snapshot.storage.ranges:
                start = max(sector - node.base, 0)
                end = min(sector - node.base + count, node.sectors)
                if root == node.root.name and start < end:
                    found.append((start, end - start))
        return tuple(sorted(found))

    def may_hold_copies(self, snapshot: str, disk: str, sector: int, count: int) -> bool:
        """Whether a range of a disk is difference storage of a snapshot; an empty one: whether any
        of the disk is. Of a device that spreads over several disks the place is not known."""
        for root, start, length in self._snapshots[snapshot].storage.ranges:
            overlaps = not count or (start < sector + count and sector < start + length)
            if disk in self.disks_of(root) and (overlaps or root != disk):
                return True
        return False

    def disks_of(self, device: str) -> set[str]:
        """Names of the disks that a device lies on, its own if it is one."""
        root = (self._nodes.get(device) or self._gone[device]).root
        if not root.members:
            return {root.name}
        return {disk for member in root.members for disk in self.disks_of(member)}


def _doubtful(content: RunMap[Cell]) -> tuple[tuple[int, int], ...]:
    doubtful = content.mapped(lambda cell: not is_certain(cell))
    return tuple((run.start, run.count) for run in doubtful.runs() if run.value)

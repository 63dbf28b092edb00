"""A guest's kernel with our module in it, in memory: devices, trackers, snapshots, images.

It keeps the contract as the real one must, so a scenario passes on it. `broken` names the ways in
which it shall not keep it: that is what the tests are about.
"""

from __future__ import annotations

import errno
import uuid
from dataclasses import dataclass, field
from typing import Any

Cell = tuple[int, int, int]
"""tag, seq, origin of a stamped sector."""
CHUNK = 512
BLOCK = 128
MAJOR, IMAGE_MAJOR = 254, 250


class Refused(Exception):  # noqa: N818 - as errno is, no error of the lab
    """The kernel says no."""

    def __init__(self, number: int, message: str = "") -> None:
        super().__init__(message)
        self.errno = number


@dataclass
class Device:
    path: str
    sectors: int
    number: tuple[int, int]
    content: dict[int, Cell] = field(default_factory=dict)


@dataclass
class Tracker:
    device: Device
    generation: str
    previous: int = 0
    active: int = 1
    write_map: bytearray = field(default_factory=bytearray)
    read_map: bytearray = field(default_factory=bytearray)
    damaged: bool = False


@dataclass
class Image:
    device: Device
    minor: int
    frozen: dict[int, Cell]
    copied: set[int] = field(default_factory=set)
    spoiled: int = 0

    @property
    def path(self) -> str:
        return f"/dev/blksnap-image{self.minor}"


@dataclass
class Snapshot:
    id: str
    devices: list[Device]
    capacity: int = 0
    used: int = 0
    images: list[Image] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)


LEAKS: str | None = None
"""What kmemleak finds; None: there is none."""


class FakeKernel:
    """The state, and the operations that change it. Errors are `Refused`."""

    def __init__(self, disks: dict[str, int], broken: frozenset[str]) -> None:
        self.broken = broken
        self.devices = {
            path: Device(path, size // 512, (MAJOR, 16 * (n + 1)))
            for n, (path, size) in enumerate(disks.items())
        }
        self.trackers: dict[str, Tracker] = {}
        self.snapshots: dict[str, Snapshot] = {}
        self.loaded: set[str] = set()
        self.parameters: dict[str, int] = {}
        self.leaks = LEAKS
        self.faults = {"area_new": 0, "image_new": 0, "map_update": 0}
        self.log: list[tuple[int, str]] = []
        self.overwritten = 0
        self.time = 1_000

    def say(self, *lines: str, level: int = 6) -> None:
        self.log += [(level, line) for line in lines]

    def tick(self) -> int:
        self.time += 1_000
        return self.time

    def fails(self, point: str) -> bool:
        """Whether an injected failure is due."""
        self.faults[point] -= (due := self.faults[point] > 0)
        return due

    # -- devices ------------------------------------------------------------------------------

    def image(self, path: str) -> Image | None:
        images = [image for one in self.snapshots.values() for image in one.images]
        return next((image for image in images if image.path == path), None)

    def snapshot_of(self, device: Device) -> Snapshot | None:
        return next((s for s in self.snapshots.values() if device in s.devices), None)

    def find(self, path: str) -> Device:
        if path not in self.devices:
            raise Refused(errno.ENOENT, path)
        return self.devices[path]

    def write(self, path: str, tag: int, sector: int, count: int, seq: int) -> None:
        cells = {sector + i: (tag, seq, sector + i) for i in range(count)}
        image = self.image(path)
        if image is not None:
            if image.spoiled:
                raise Refused(errno.EIO, path)
            image.frozen |= cells
            self._mark(image.device, sector, count, both=True)
            return
        device = self.find(path)
        self._before_write(device, sector, count)
        if "original sector lost" in self.broken:
            cells.pop(sector, None)
        if "original misplaced" in self.broken:
            cells = {place + 1: cell for place, cell in cells.items()}
        device.content |= cells

    def clear(self, path: str, sector: int, count: int) -> None:
        device = self.find(path)
        self._before_write(device, sector, count)
        for place in range(sector, sector + count):
            device.content.pop(place, None)

    def would_wait(self, path: str, sector: int, count: int) -> bool:
        """Whether a write has to wait for a copy."""
        device = self.find(path)
        images = [image for one in self.snapshots.values() for image in one.images]
        chunks = set(range(sector // CHUNK, (sector + count - 1) // CHUNK + 1))
        waits = any(image.device is device and chunks - image.copied for image in images)
        return waits and "nothing is refused" not in self.broken

    def _before_write(self, device: Device, sector: int, count: int) -> None:
        self._mark(device, sector, count)
        snapshot = self.snapshot_of(device)
        image = next((i for i in snapshot.images if i.device is device), None) if snapshot else None
        if snapshot is None or image is None:
            return
        if "no copy before write" in self.broken:
            image.frozen = device.content
        for chunk in range(sector // CHUNK, (sector + count - 1) // CHUNK + 1):
            if chunk in image.copied or image.spoiled:
                continue
            image.copied.add(chunk)
            snapshot.used += min(CHUNK, device.sectors - chunk * CHUNK)
            if snapshot.used > snapshot.capacity:
                self.spoil(snapshot, image, errno.ENOSPC)

    def spoil(self, snapshot: Snapshot, image: Image, number: int) -> None:
        image.spoiled = number
        if "spoiled without event" in self.broken:
            return
        major, minor = image.device.number
        if "spoiled without a line" not in self.broken:
            line = f"blksnap-diff-area: image of {major}:{minor} is spoiled: error {number}"
            self.say(*[line] * (2 if "line twice" in self.broken else 1), level=3)
        event = {"code": 1, "kind": "corrupted", "time_ns": self.tick(), "errno": number}
        place = {"device": list(image.device.number), "path": image.device.path}
        snapshot.events += [event | place] * (2 if "event twice" in self.broken else 1)

    def _mark(self, device: Device, sector: int, count: int, *, both: bool = False) -> None:
        tracker = self.trackers.get(device.path)
        if tracker is None or "writes not tracked" in self.broken:
            return
        tracker.damaged |= self.fails("map_update")
        last = (sector + count - 1) // BLOCK + ("one block too many" in self.broken)
        for block in range(sector // BLOCK, min(last + 1, len(tracker.write_map))):
            tracker.write_map[block] = tracker.active
            if both:
                tracker.read_map[block] = max(tracker.read_map[block], tracker.previous)

    def read(self, path: str, sector: int, count: int) -> list[Cell | None]:
        image = self.image(path)
        if image is None:
            content = self.find(path).content
        elif image.spoiled and "new data after overflow" not in self.broken:
            raise Refused(errno.EIO, path)
        else:
            content = image.device.content if image.spoiled else image.frozen
        return [content.get(place) for place in range(sector, sector + count)]

    # -- the module ---------------------------------------------------------------------------

    def create(self, paths: list[str]) -> str:
        if len(set(paths)) != len(paths):
            raise Refused(errno.EINVAL, "twice")
        devices = [self.find(path) for path in paths]
        if any(self.snapshot_of(device) for device in devices):
            raise Refused(errno.EALREADY, "held")
        for device in devices:
            if device.path not in self.trackers:
                size = -(-device.sectors // BLOCK)
                tracker = Tracker(device, str(uuid.uuid4()))
                tracker.write_map, tracker.read_map = bytearray(size), bytearray(size)
                self.trackers[device.path] = tracker
        snapshot = Snapshot(str(uuid.uuid4()), devices)
        snapshot.events.append(
            {"code": 0, "kind": "low_space", "time_ns": self.tick(), "requested_sectors": 2097152}
        )
        self.snapshots[snapshot.id] = snapshot
        return snapshot.id

    def known(self, identity: str, number: int = errno.ESRCH) -> Snapshot:
        if identity not in self.snapshots:
            raise Refused(number, "no such snapshot")
        return self.snapshots[identity]

    def take(self, identity: str) -> None:
        snapshot = self.known(identity)
        if snapshot.images and "taken twice" not in self.broken:
            raise Refused(errno.EALREADY, "taken")
        if self.fails("image_new"):
            raise Refused(errno.ENOMEM, "no image")
        used = {image.minor for one in self.snapshots.values() for image in one.images}
        free = (minor for minor in range(100) if minor not in used)
        for device in snapshot.devices:
            snapshot.images.append(Image(device, next(free), dict(device.content)))
            tracker = self.trackers[device.path]
            if tracker.damaged:
                tracker.write_map = bytearray(len(tracker.write_map))
                tracker.generation, tracker.active = str(uuid.uuid4()), 1
            tracker.damaged = False
            tracker.read_map = bytearray(tracker.write_map)
            tracker.previous, tracker.active = tracker.active, tracker.active + 1
            if "number stays" in self.broken:
                tracker.previous = 0
        if "images in another order" in self.broken:
            snapshot.images.reverse()
        if "spoiled for no reason" in self.broken:
            self.spoil(snapshot, snapshot.images[0], errno.EIO)

    def destroy(self, identity: str) -> None:
        snapshot = self.known(identity, errno.ENODEV)
        if "original written at destroy" in self.broken and snapshot.images:
            snapshot.devices[0].content[3] = (99, 99, 3)
        if "snapshot stays" not in self.broken:
            del self.snapshots[identity]

    def remove_tracker(self, path: str) -> None:
        if path not in self.trackers:
            raise Refused(errno.ENODATA, "not tracked")
        if self.snapshot_of(self.find(path)):
            raise Refused(errno.EBUSY, "held")
        if "tracker stays" not in self.broken:
            del self.trackers[path]

    def counters(self) -> dict[str, list[int]]:
        count = len(self.trackers) + bool({"leak", "dead tracker"} & self.broken)
        snapshots = len(self.snapshots) + ("leaked snapshot" in self.broken)
        return {"tracker": [count, count * 100], "snapshot": [snapshots, 0]}

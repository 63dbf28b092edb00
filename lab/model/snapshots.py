"""What happens to the model when snapshots, trackers and the module come and go."""

from __future__ import annotations

from lab.model.cbt import CbtModel
from lab.model.sizes import chunk_grain
from lab.model.snapshot import ImageModel, SnapshotModel
from lab.model.storage import StorageModel, Touched
from lab.model.writes import Ranges, Writes


class Snapshots(Writes):
    """Commands that succeeded; those that failed change nothing and are not told."""

    def created(
        self, snapshot: str, devices: tuple[str, ...], begin_ns: int = 0, end_ns: int = 0
    ) -> None:
        """A snapshot was created, called and returned at these times; tracking begins where it
        had not."""
        for name in devices:
            if name not in self._trackers:
                node = self._nodes[name]
                tracker = CbtModel(name, node.sectors, self.parameters, self._used_ids)
                tracker.began(begin_ns, end_ns)
                tracker.wild = self._is_wild(node)
                self._trackers[name] = tracker
        storage = StorageModel(self.parameters["diff_storage_minimum"])
        self._snapshots[snapshot] = SnapshotModel(snapshot, devices, storage)

    def appended(
        self, snapshot: str, device: str, ranges: Ranges, at_ns: int | None = None
    ) -> None:
        """Ranges of a device became difference storage: their content is unknown from now on,
        in the original and in every image of it."""
        node = self._nodes[device]
        storage = self._snapshots[snapshot].storage
        for sector, count in ranges:
            node.change(sector, count, None)
            storage.appended.append((at_ns, count))
            storage.ranges.append((node.root.name, node.base + sector, count))
            for seen, start, length in node.seen_by(sector, count):
                for image in self._images_of(seen.name):
                    image.forget(start, length)

    def taken(self, snapshot: str, begin_ns: int, end_ns: int) -> None:
        """A take succeeded, called and returned at these times of the guest."""
        taken = self._snapshots[snapshot]
        for name in taken.devices:
            node = self._nodes[name]
            self._trackers[name].taken(begin_ns, end_ns)
            touched = Touched(chunk_grain(node.sectors, self.parameters), node.sectors)
            taken.images[name] = ImageModel(
                node, node.sectors, node.view(), touched, (begin_ns, end_ns)
            )
            if self._is_wild(node):
                touched.touch(0, node.sectors, sure=False)

    def destroyed(self, snapshot: str) -> None:
        """A snapshot is gone; tracking goes on."""
        del self._snapshots[snapshot]

    def corrupted(self, snapshot: str, device: str, number: int, at_ns: int) -> None:
        """A corrupted event named a device: its image is unreadable from now on."""
        self._snapshots[snapshot].corrupted(device, number, at_ns)

    def tracker_removed(self, device: str) -> None:
        """A device is no longer tracked."""
        self._trackers.pop(device)

    def trackers_lost(self) -> None:
        """The module was unloaded or the machine restarted: no tracker, no snapshot."""
        self._trackers.clear()
        self._snapshots.clear()

    def map_update_fails(self, device: str) -> None:
        """The next update of the map is made to fail; copying goes on (K12)."""
        self._trackers[device].update_fails = True

    def is_map_lost(self, device: str) -> bool:
        """Whether an update of the map failed since the last take."""
        return self._trackers[device].map_lost

    def snapshots(self) -> tuple[str, ...]:
        """Names of the snapshots there are."""
        return tuple(self._snapshots)

    def is_spoiled(self, snapshot: str, device: str) -> bool:
        """Whether a corrupted event was received for a device."""
        return self._snapshots[snapshot].images[device].spoiled != 0

    def is_tracked(self, device: str) -> bool:
        """Whether a device has a tracker."""
        return device in self._trackers

    def tracked(self) -> tuple[str, ...]:
        """Devices that have a tracker."""
        return tuple(self._trackers)

    def portion(self) -> int:
        """Sectors that a low-space event of a new snapshot asks for."""
        return self.parameters["diff_storage_minimum"]

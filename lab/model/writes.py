"""What happens to the model when originals and images are written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lab.model.content import ZERO, ZEROS, Stamp
from lab.model.devices import Node
from lab.model.state import State

Ranges = Sequence[tuple[int, int]]
"""(sector, count) each."""

Plan = list[tuple[int, int, int]]
"""Writes to be done: (sector, count, write number) each."""

PAGE_SECTORS = 8
CACHED = frozenset({"buffered", "written_back", "mmap"})
"""Roads on which the kernel may write a whole page around what was written."""


class Writes(State):
    """Synchronous writes: planned here, done by the agent, then told back."""

    def plan_write(self, device: str, ranges: Ranges, label: str) -> Plan:
        """Number the writes of a step; the agent stamps them with `tag(device)`."""
        return self._plan(device, ranges, label)

    def plan_image_write(self, snapshot: str, device: str, ranges: Ranges, label: str) -> Plan:
        """The same for writes into an image; also stamped with `tag(device)`."""
        return self._plan(device, ranges, f"into its image in {snapshot}, {label}")

    def _plan(self, device: str, ranges: Ranges, label: str) -> Plan:
        first = self._number(self._nodes[device].tag, len(ranges), label)
        return [(sector, count, first + i) for i, (sector, count) in enumerate(ranges)]

    def wrote(
        self, device: str, plan: Iterable[tuple[int, int, int]], how: str, *, failed: bool = False
    ) -> None:
        """A planned write was done by the road `how`; `failed`: it reported an error, so each
        part of it may have happened or not."""
        node = self._nodes[device]
        for sector, count, seq in plan:
            node.put(sector, count, Stamp(node.tag, seq, seq, 0), sure=not failed)
            self._changed(node, sector, count, sure=not failed, pages=how in CACHED)

    def safe(self, device: str, plan: Iterable[tuple[int, int, int]]) -> None:
        """Writes that were done are safe from a power cut; nothing is said of what came before."""
        root, base = self._nodes[device].root, self._nodes[device].base
        for sector, count, _ in plan:
            for run in list(root.content.runs(base + sector, count)):
                if root.kept is not None:
                    root.kept.set(run.start, run.count, run.value)

    def synced(self, device: str) -> None:
        """All that was written to the disk is safe from a power cut."""
        root = self._nodes[device].root
        if root.kept is not None:
            root.kept = root.content.copy()

    def power_failed(self, device: str) -> None:
        """A disk holds what was safe, or anything that was written later."""
        node = self._nodes[device]
        if node.kept is not None:
            node.content = node.kept
            node.kept = node.content.copy()

    def wrote_image(
        self,
        snapshot: str,
        device: str,
        plan: Iterable[tuple[int, int, int]],
        *,
        failed: bool = False,
    ) -> None:
        """A planned write into an image was done; `failed`: see wrote()."""
        image = self._snapshots[snapshot].images[device]
        for sector, count, seq in plan:
            image.put(sector, count, Stamp(image.node.tag, seq, seq, 0), sure=not failed)
            if device not in self._trackers:
                continue
            if failed:
                self._trackers[device].mark_both_maybe(sector, count)
            else:
                self._trackers[device].mark_both(sector, count)

    def zeroed(self, device: str, ranges: Ranges) -> None:
        """Ranges were zeroed."""
        node = self._nodes[device]
        for sector, count in ranges:
            node.put(sector, count, ZERO)
            self._changed(node, sector, count)

    def discarded(self, device: str, ranges: Ranges) -> None:
        """Ranges were discarded or erased: they hold what they held, or zeros."""
        node = self._nodes[device]
        for sector, count in ranges:
            node.change(sector, count, ZEROS, sure=False)
            self._changed(node, sector, count)

    def forget(self, device: str, ranges: Ranges | None = None) -> None:
        """Ranges (or all) were written with content that the model does not know."""
        node = self._nodes[device]
        for sector, count in ranges or ((0, node.sectors),):
            node.change(sector, count, None)
            self._changed(node, sector, count, sure=False)

    def mounted(self, device: str) -> None:
        """A file system is mounted on it: until unmounted anything may be written at any time."""
        self.forget(device)
        self.set_wild(self._nodes[device], True)

    def unmounted(self, device: str) -> None:
        """It is unmounted and all is written."""
        self.set_wild(self._nodes[device], False)

    def image_mounted(self, snapshot: str, device: str) -> None:
        """An image is mounted or checked: its content is unknown from now on."""
        image = self._snapshots[snapshot].images[device]
        image.forget()
        image.touched.touch(0, image.sectors, sure=False)
        if device in self._trackers:
            self._trackers[device].mark_both_maybe()

    def dirty_marked(self, device: str, ranges: Ranges) -> None:
        """MARK_DIRTY succeeded, on the original or through the image."""
        for sector, count in ranges:
            self._trackers[device].mark_both(sector, count)

    def _changed(
        self, node: Node, sector: int, count: int, *, sure: bool = True, pages: bool = False
    ) -> None:
        """Trackers and images that see a write learn of it."""
        for tracker, start, length in self._tracked(node, sector, count):
            if pages:
                first = start // PAGE_SECTORS * PAGE_SECTORS
                tracker.mark_maybe(
                    first, -(-(start + length) // PAGE_SECTORS) * PAGE_SECTORS - first
                )
            if sure:
                tracker.mark(start, length)
            else:
                tracker.mark_maybe(start, length)
        for image, start, length in self._held(node, sector, count):
            image.touched.touch(start, length, sure=sure)

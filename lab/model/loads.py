"""What happens to the model while background loads write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from lab.model.content import Cell, Stamp
from lab.model.disagreement import Disagreement, general
from lab.model.seen import LoadWrite
from lab.model.snapshot import ImageModel
from lab.model.snapshots import Snapshots

NO_END = 2**63
"""A series of writes that goes on."""


@dataclass(frozen=True, slots=True)
class RingDevice:
    """A device of a ring and the tag of its counters."""

    name: str
    tag: int


class Loads(Snapshots):
    """Loads stamp with tags of their own, numbered from 1."""

    def __init__(self, parameters: dict[str, int] | None = None) -> None:
        super().__init__(parameters)
        self._writers: dict[str, tuple[str, int]] = {}
        self._image_writers: dict[str, ImageModel] = {}
        self._cycles: dict[str, tuple[str, ...]] = {}
        self._rings: dict[str, tuple[tuple[RingDevice, ...], tuple[int, int]]] = {}

    def writers_started(self, load: str, device: str, snapshot: str | None = None) -> int:
        """A writers load begins, on a device or its image; the tag it has to stamp with."""
        tag = self._new_tag(device)
        self._number(tag, NO_END, f"load {load}")
        self._writers[load] = (device, tag)
        if snapshot is not None:
            self._image_writers[load] = self._snapshots[snapshot].images[device]
        return tag

    def load_progress(self, load: str, writes: Iterable[LoadWrite]) -> None:
        """Writes of a writers load: each once when it is done, those in flight as often as seen.

        To be called with a fresh poll after every take (before any image or map is compared)
        and at the end: which side of the take each write is on follows from the times.
        """
        device, tag = self._writers[load]
        if load in self._image_writers:
            self._image_progress(self._image_writers[load], device, tag, writes)
            return
        node = self._nodes[device]
        for write in sorted(writes, key=lambda one: one.issued):
            stamp = Stamp(tag, write.seq, write.seq, 0)
            sure = write.done is not None and write.errno == 0
            node.put(write.sector, write.count, stamp, sure=sure)
            for seen, start, length in node.seen_by(write.sector, write.count):
                moved = LoadWrite(write.seq, start, length, write.issued, write.done, write.errno)
                placed = stamp._replace(shift=node.base - seen.base)
                if seen.name in self._trackers:
                    self._trackers[seen.name].mark_load(moved)
                for image in self._images_of(seen.name):
                    image.load_write(moved, placed)

    def _image_progress(
        self, image: ImageModel, device: str, tag: int, writes: Iterable[LoadWrite]
    ) -> None:
        """Writes into an image: no take comes in between, as an image ends with its snapshot."""
        tracker = self._trackers.get(device)
        for write in sorted(writes, key=lambda one: one.issued):
            sure = write.done is not None and write.errno == 0
            stamp = Stamp(tag, write.seq, write.seq, 0)
            image.put(write.sector, write.count, stamp, sure=sure, issued=write.issued)
            if tracker is not None and sure:
                tracker.mark_both(write.sector, write.count)
            elif tracker is not None:
                tracker.mark_both_maybe(write.sector, write.count)

    def writers_stopped(self, load: str) -> None:
        """A writers load has ended and all its writes were told."""
        del self._writers[load]
        self._image_writers.pop(load, None)

    def newest_writes(self, device: str, snapshot: str | None) -> dict[int, int]:
        """By tag, the number of the newest write that a device, or its image, may hold from now on
        if nobody writes but loads that write into that image already.

        Numbers of a tag are in the order of issue: a write that came later has a larger one. Where
        the content is not known, any write of a step to the device may be.
        """
        node = self._nodes[device]
        image = None if snapshot is None else self._snapshots[snapshot].images[device]
        unknown = Stamp(node.tag, 1, self._next_seq[node.tag] - 1, 0)
        newest: dict[int, int] = {}
        for run in (node.view() if image is None else image.expected()).runs():
            for stamp in {unknown} if run.value is None else run.value:
                newest[stamp.tag] = max(stamp.last, newest.get(stamp.tag, 0))
        for load, written in self._image_writers.items():
            if written is image:
                newest[self._writers[load][1]] = NO_END
        return newest

    def cycle_started(self, load: str, devices: tuple[str, ...]) -> None:
        """A load begins that takes and destroys snapshots of devices, which are tracked."""
        self._cycles[load] = devices

    def cycle_progress(self, load: str, takes: Iterable[tuple[int, int]]) -> None:
        """Takes of such a load, called and returned at these times; each is told once, and before
        any write of a load that came after the first of them."""
        for begin_ns, end_ns in takes:
            for name in self._cycles[load]:
                self._trackers[name].taken(begin_ns, end_ns)

    def ring_started(self, load: str, devices: Sequence[str], region: tuple[int, int]) -> list[int]:
        """A ring load begins on a region (sector, count) of each device; the tags to stamp with,
        in the order of the devices. Write number n is round n."""
        ring = tuple(RingDevice(name, self._new_tag(name)) for name in devices)
        for device in ring:
            self._number(device.tag, NO_END, f"ring {load}")
        self._rings[load] = (ring, region)
        for device in ring:
            node = self._nodes[device.name]
            node.put(*region, Stamp(device.tag, 1, NO_END, 0), sure=False)
            self.set_wild(node, True)
        return [device.tag for device in ring]

    def ring_stopped(self, load: str, last_n: int) -> None:
        """A ring load has ended in round `last_n` (which may not have reached every device)."""
        ring, (sector, count) = self._rings.pop(load)
        for device in ring:
            node = self._nodes[device.name]
            told = _told_end(device.tag, last_n)
            node.root.content.update(node.base + sector, count, told)
            self.set_wild(node, False)


def _told_end(tag: int, last: int) -> Callable[[Cell], Cell]:
    """A change of cells: the endless series of a tag ended with write `last`."""

    def change(cell: Cell) -> Cell:
        if cell is None:
            return None
        return frozenset(
            stamp._replace(last=last) if (stamp.tag, stamp.last) == (tag, NO_END) else stamp
            for stamp in cell
        )

    return change


def check_ring(
    names: Sequence[str], counters: Sequence[int], at_least: int, at_most: int | None
) -> tuple[Disagreement, ...]:
    """The rule of ordered writes (K16) for the counters found in images, in ring order.

    Round n is written to each device only after the one before has it: no counter may be ahead
    of the one before it, and the last may be at most one round behind the first. `at_least`
    rounds were complete before the take was called; `at_most` had begun when it returned.
    """
    found: list[Disagreement] = []
    for i in range(1, len(counters)):
        if counters[i] > counters[i - 1]:
            found.append(
                general(
                    f"image of {names[i]}",
                    f"round {counters[i]}",
                    f"at most {counters[i - 1]}, which is in the image of {names[i - 1]}",
                )
            )
    if counters and counters[-1] < counters[0] - 1:
        found.append(
            general(
                f"image of {names[-1]}",
                f"round {counters[-1]}",
                f"at least {counters[0] - 1}, as the image of {names[0]} has {counters[0]}",
            )
        )
    for name, counter in zip(names, counters, strict=True):
        if counter < at_least:
            found.append(
                general(f"image of {name}", f"round {counter}", f"at least {at_least}, done before")
            )
        if at_most is not None and counter > at_most:
            found.append(
                general(f"image of {name}", f"round {counter}", f"at most {at_most}, begun by then")
            )
    return tuple(found)


def check_ring_slots(name: str, slots: Sequence[int]) -> tuple[Disagreement, ...]:
    """The rule within one image: round n lies in slot (n - 1) modulo the number of slots, and an
    image that has a round has all those before it. `slots` has the round found in each (0: none).
    """
    top, size = max(slots, default=0), len(slots)
    found: list[Disagreement] = []
    for slot, number in enumerate(slots):
        newest = top - (top - 1 - slot) % size if top else 0
        right = max(newest, 0)
        if number != right:
            text = f"round {right}" if right else "none yet"
            found.append(Disagreement(f"image of {name}", slot, 1, "slot", f"round {number}", text))
    return tuple(found)

"""What a walk through the steps knows, and the checks of names and places that verbs share."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from lab.scenario import steps_io as io
from lab.scenario import steps_load as load
from lab.scenario.check_devices import Known, Report, check_range, check_window
from lab.scenario.mistakes import Place
from lab.scenario.scenario import Scenario
from lab.units import SECTOR, STORAGE_UNIT, format_size


@dataclass
class KnownSnapshot:
    devices: tuple[str, ...]
    taken: bool = False
    storage: bool = False
    sizes: dict[str, int | None] = field(default_factory=dict)
    """Of the originals at the take, and so of the images, whatever becomes of the originals."""


@dataclass
class Walk:
    """The state of a walk; every mistake goes to `report`."""

    scenario: Scenario
    known: dict[str, Known]
    excused: frozenset[str]
    report: Report
    strict: bool = True
    snapshots: dict[str, KnownSnapshot] = field(default_factory=dict)
    ever: set[str] = field(default_factory=set)
    loads: dict[str, load.StartLoad] = field(default_factory=dict)
    ended: dict[str, load.StartLoad] = field(default_factory=dict)
    mounts: set[str] = field(default_factory=set)
    digests: set[str] = field(default_factory=set)
    marks: set[str] = field(default_factory=set)
    tracked: set[str] = field(default_factory=set)
    removed: dict[str, Known] = field(default_factory=dict)
    resized: set[str] = field(default_factory=set)
    """Disks whose size at a step, or at a take, nobody can tell if something is excused."""
    off: Place | None = None
    """The power cut since which the machine is off."""

    def device(self, name: str, place: Place) -> Known | None:
        found = self.known.get(name)
        if found is None and name in self.excused:
            return Known(None)
        if found is None:
            self.report(place, f"there is no device `{name}`", suggest(name, self.known))
        elif self.excused and name in self.resized:
            return replace(found, size=None)
        return found

    def original(self, name: str, place: Place) -> Known | None:
        """The original of an image, which may be gone by now."""
        return self.removed[name] if name in self.removed else self.device(name, place)

    def snapshot(
        self, name: str, place: Place, *, taken: bool | None = None
    ) -> KnownSnapshot | None:
        found = self.snapshots.get(name)
        where = (*place, "snapshot")
        if name in self.excused or not self.strict:
            if found is None and name not in self.ever | self.excused:
                self.report(where, f"no snapshot `{name}` anywhere", suggest(name, self.ever))
            return None
        if found is None:
            gone = name in self.ever
            what = f"snapshot `{name}` is {'destroyed by now' if gone else 'not created yet'}"
            self.report(where, what, "a `create` before this step")
        elif taken is True and not found.taken:
            self.report(where, f"snapshot `{name}` is not taken yet", "a `take` before this step")
        elif taken is False and found.taken:
            self.report(where, f"snapshot `{name}` is taken already", "expect_error, if meant so")
        return found

    def held(self) -> list[tuple[str, KnownSnapshot]]:
        """The snapshots that there are for sure."""
        return [(name, one) for name, one in self.snapshots.items() if name not in self.excused]

    def image(self, snapshot: str, device: str, place: Place) -> None:
        """An image: the snapshot must be taken and have the device."""
        found = self.snapshot(snapshot, place, taken=True)
        self.original(device, (*place, "device"))
        if found is not None:
            self.member(device, snapshot, (*place, "device"))

    def member(self, device: str, snapshot: str, place: Place) -> None:
        """A device of a snapshot that lives."""
        devices = self.snapshots[snapshot].devices
        if device not in devices and not {device, *devices} & self.excused:
            what = f"`{device}` is not in snapshot `{snapshot}`"
            self.report(place, what, f"one of: {', '.join(devices)}")

    def load(
        self, name: str, place: Place, kinds: tuple[str, ...] = (), *, ended: bool = False
    ) -> None:
        """A load, which may have `ended`; of one of some kinds."""
        running = self.loads.get(name) or (self.ended.get(name) if ended else None)
        if name in self.excused:
            return
        if running is None:
            right = suggest(name, self.loads) or "a `start_load` before this step"
            self.report((*place, "load"), f"no load `{name}` is running", right)
        elif kinds and running.kind not in kinds:
            self.report((*place, "load"), f"`{name}` is a {running.kind} load", " or ".join(kinds))

    def placed(self, action: io.Placed, place: Place) -> None:
        of_image = isinstance(action, (io.ReadImage, io.WriteImage))
        find = self.original if of_image else self.device
        known = find(action.device, (*place, "device"))
        if known is None or not self.strict:
            return
        held = self.snapshots.get(getattr(action, "snapshot", None) or "")
        if held is not None and action.device in held.sizes:
            known = replace(known, size=held.sizes[action.device])
        if action.ranges is not None:
            for i, piece in enumerate(action.ranges):
                check_range(piece, known, (*place, "ranges", i), self.report)
        elif action.random is not None:
            self._random(action.random, known, (*place, "random"))
        else:
            check_window(action.at, action.size, known, place, self.report)
        chunk = getattr(action, "chunk", 0)
        if chunk % known.block or ("chunk" in type(action).model_fields and chunk == 0):
            self.report((*place, "chunk"), format_size(chunk), f"a multiple of {known.block}")

    def _random(self, action: io.RandomRanges, known: Known, place: Place) -> None:
        low, high = action.sizes
        align = action.align
        if align == 0 or align % known.block:
            right = f"a multiple of the block size {known.block}"
            self.report((*place, "align"), format_size(align), right)
        elif low > high or low < align or low % align or high % align:
            what = f"from {format_size(low)} to {format_size(high)}"
            self.report((*place, "sizes"), what, f"[low, high] in multiples of {align}")
        elif (room := action.within.size if action.within else known.size) is not None:
            most = room // align // (low // align)
            if action.count > most:
                what = f"{action.count} of {format_size(low)} do not fit into {format_size(room)}"
                self.report((*place, "count"), what, f"at most {most}")
        if action.within is not None:
            check_range(action.within, known, (*place, "within"), self.report)

    def storage_range(self, at: int, size: int, known: Known, place: Place) -> None:
        check_window(at, size, known, place, self.report)
        if at % (STORAGE_UNIT * SECTOR) or size % (STORAGE_UNIT * SECTOR):
            self.report(place, "not in units of 8 sectors", "at and size multiples of 4KiB (K20)")

    def mounted(self, path: str, place: Place) -> None:
        known = any(path == at or path.startswith(f"{at.rstrip('/')}/") for at in self.mounts)
        if not known and self.strict and not self.excused:
            right = f"mounted are: {', '.join(sorted(self.mounts)) or 'none'}"
            self.report(place, f"no file system of this scenario is mounted at {path}", right)


def suggest(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"did you mean `{close[0]}`?"
    return f"known are: {', '.join(names)}" if names else ""

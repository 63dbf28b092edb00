"""Checks of the verbs for images, snapshots, storage and the CBT map."""

from __future__ import annotations

from lab.scenario import steps_io as io
from lab.scenario import steps_snapshot as snap
from lab.scenario.check_devices import Known, check_range
from lab.scenario.check_names import KnownSnapshot, Walk
from lab.scenario.mistakes import Place
from lab.units import SECTOR, STORAGE_UNIT, format_size


class SnapshotSteps(Walk):
    """One method for each verb, `verb_` and its name."""

    def verb_read_image(self, action: io.ReadImage, place: Place) -> None:
        self.image(action.snapshot, action.device, place)

    def verb_write_image(self, action: io.WriteImage, place: Place) -> None:
        self.image(action.snapshot, action.device, place)

    def verb_digest(self, action: io.Digest, place: Place) -> None:
        if action.snapshot is not None:
            self.image(action.snapshot, action.device, place)
        if action.same_as is not None and action.same_as not in self.digests | self.excused:
            self.report((*place, "same_as"), f"no digest `{action.same_as}` was saved", "a `save`")
        if action.save is not None:
            self.digests.add(action.save)

    def verb_create(self, action: snap.Create, place: Place) -> None:
        for i, name in enumerate(action.devices):
            self.device(name, (*place, "devices", i))
        self.ever.add(action.snapshot)
        if not self.strict:
            return
        where = (*place, "devices")
        if len(set(action.devices)) != len(action.devices):
            self.report(where, "a device is listed twice", "expect_error EINVAL, if meant so (K22)")
        for name, other in self.held():
            held = [device for device in action.devices if device in other.devices]
            if name == action.snapshot:
                right = "another name, or destroy it before"
                self.report((*place, "snapshot"), f"snapshot `{name}` exists already", right)
            elif held:
                right = "expect_error EALREADY, if meant so (K22)"
                self.report(where, f"snapshot `{name}` holds {', '.join(held)}", right)
        self.snapshots[action.snapshot] = KnownSnapshot(action.devices)
        self.tracked |= set(action.devices)

    def verb_append_storage(self, action: snap.AppendStorage, place: Place) -> None:
        found = self.snapshot(action.snapshot, place)
        if found is not None:
            found.storage = True
        if action.device is not None:
            known = self.device(action.device, (*place, "device"))
            for i, piece in enumerate(action.ranges or ()):
                if known is not None and self.strict:
                    where = (*place, "ranges", i)
                    self.storage_range(piece.at, piece.size, known, where)
        elif action.pieces is not None:
            self._pieces(action.pieces, (*place, "pieces"))
        elif action.file is not None:
            self.mounted(action.file.path, (*place, "file", "path"))

    def _pieces(self, pieces: snap.Pieces, place: Place) -> None:
        sizes = []
        for i, name in enumerate(pieces.devices):
            known = self.device(name, (*place, "devices", i))
            sizes.append(known.size if known is not None else None)
        unit = STORAGE_UNIT * SECTOR
        if pieces.total % unit or pieces.total // unit < pieces.count:
            right = f"a multiple of 4KiB, at least {pieces.count} times 4KiB"
            self.report((*place, "total"), format_size(pieces.total), right)
        room = sum(size for size in sizes if size is not None)
        if None not in sizes and pieces.total + pieces.count * unit > room:
            what = f"{format_size(pieces.total)} with gaps do not fit"
            self.report((*place, "total"), what, f"the devices have {format_size(room)}")

    def verb_take(self, action: snap.Take, place: Place) -> None:
        found = self.snapshot(action.snapshot, place, taken=False)
        if found is None:
            return
        if not found.storage:
            right = "an `append_storage` before, or expect_error"
            self.report((*place, "snapshot"), "the snapshot has no storage", right)
        found.taken = True
        found.sizes = {name: self.known[name].size for name in found.devices if name in self.known}

    def verb_destroy(self, action: snap.Destroy, place: Place) -> None:
        if self.snapshot(action.snapshot, place) is not None:
            self.snapshots.pop(action.snapshot)

    def verb_check_snapshots(self, action: snap.CheckSnapshots, place: Place) -> None:
        for i, name in enumerate(action.snapshots):
            if name not in self.snapshots and name not in self.excused:
                self.report((*place, "snapshots", i), f"there is no snapshot `{name}` now", "")

    def verb_check_images(self, action: snap.CheckImages, place: Place) -> None:
        self.snapshot(action.snapshot, place, taken=True)

    def verb_check_overflow(self, action: snap.CheckOverflow, place: Place) -> None:
        self.snapshot(action.snapshot, place, taken=True)

    def verb_wait_event(self, action: snap.WaitEvent, place: Place) -> None:
        found = self.snapshot(action.snapshot, place)
        if action.device is not None:
            self.original(action.device, (*place, "device"))
            if found is not None and not found.taken:
                self.report((*place, "expect"), "nothing can be corrupted before the take", "")

    def verb_read_cbt(self, action: snap.ReadCbt, place: Place) -> None:
        self.device(action.device, (*place, "device"))
        held = any(one.taken and action.device in one.devices for one in self.snapshots.values())
        if self.strict and not held and not self.excused:
            what = f"no taken snapshot holds `{action.device}`"
            self.report((*place, "device"), what, "a `take` before, or expect_error EPERM")

    def verb_mark_dirty(self, action: snap.MarkDirty, place: Place) -> None:
        known = self.device(action.device, (*place, "device"))
        if action.snapshot is not None:
            self.image(action.snapshot, action.device, place)
        if known is None or not self.strict:
            return
        if action.device not in self.tracked | self.excused:
            self.report(
                (*place, "device"), f"`{action.device}` is not tracked", "a `create` before"
            )
        if not action.ranges:
            self.report((*place, "ranges"), "empty", "a range, or expect_error EINVAL (K8)")
        for i, piece in enumerate(action.ranges):
            check_range(piece, Known(known.size), (*place, "ranges", i), self.report)

    def verb_check_tracker(self, action: snap.CheckTracker, place: Place) -> None:
        find = self.device if action.tracked else self.original
        find(action.device, (*place, "device"))

    def verb_tracker_remove(self, action: snap.TrackerRemove, place: Place) -> None:
        self.device(action.device, (*place, "device"))
        if self.strict:
            if action.device not in self.tracked | self.excused:
                self.report((*place, "device"), f"`{action.device}` is not tracked", "")
            self.tracked.discard(action.device)

    def verb_backup(self, action: snap.Backup, place: Place) -> None:
        self.image(action.snapshot, action.device, place)
        target = self.device(action.to, (*place, "to"))
        if action.to == action.device:
            self.report((*place, "to"), f"`{action.to}` is the original", "another device")
        source = self.known.get(action.device)
        have = target.size if target is not None else None
        need = source.size if source is not None else None
        if have is not None and need is not None and have < need:
            what = f"`{action.to}` is smaller than the original"
            self.report((*place, "to"), what, f"at least {format_size(need)}")

    def verb_check_backup(self, action: snap.CheckBackup, place: Place) -> None:
        self.image(action.snapshot, action.device, place)
        self.device(action.to, (*place, "to"))

"""Checks of the verbs for file systems, programs, loads, the module and the machine."""

from __future__ import annotations

import re

from lab.flavour import placeholders
from lab.scenario import steps_fs as fs
from lab.scenario import steps_load as load
from lab.scenario import steps_machine as machine
from lab.scenario import steps_power as power
from lab.scenario import steps_probe as probe
from lab.scenario.check_devices import (
    Known,
    check_device,
    check_disk_size,
    check_parameters,
    check_range,
    check_window,
)
from lab.scenario.check_names import Walk
from lab.scenario.devices import Linear
from lab.scenario.mistakes import Place
from lab.units import SECTOR

PLACEHOLDER = re.compile(r"\{(?:([a-z][a-z0-9_-]*)/)?([a-z][a-z0-9_-]*)\}")
"""In exec: {a} is the path of device a, {s/a} of its image in snapshot s; {blksnap:node} and the
like are names of the module, see Flavour."""


class GuestSteps(Walk):
    """One method for each verb, `verb_` and its name."""

    def verb_mkfs(self, action: fs.Mkfs, place: Place) -> None:
        self.device(action.device, (*place, "device"))

    def verb_mount(self, action: fs.Mount, place: Place) -> None:
        if action.snapshot is not None:
            self.image(action.snapshot, action.device, place)
        else:
            self.device(action.device, (*place, "device"))
        if self.strict:
            if action.at in self.mounts and not self.excused:
                self.report((*place, "at"), f"{action.at} is in use", "another place, or `umount`")
            self.mounts.add(action.at)

    def verb_umount(self, action: fs.Umount, place: Place) -> None:
        self.mounted(action.at, (*place, "at"))
        if self.strict:
            self.mounts.discard(action.at)

    def verb_fsfreeze(self, action: fs.Fsfreeze, place: Place) -> None:
        self.mounted(action.at, (*place, "at"))

    def verb_thaw(self, action: fs.Thaw, place: Place) -> None:
        self.mounted(action.at, (*place, "at"))

    def verb_write_files(self, action: fs.WriteFiles, place: Place) -> None:
        self.mounted(action.at, (*place, "at"))

    def verb_check_files(self, action: fs.CheckFiles, place: Place) -> None:
        self.mounted(action.at, (*place, "at"))

    def verb_fsck(self, action: fs.Fsck, place: Place) -> None:
        if action.snapshot is not None:
            self.image(action.snapshot, action.device, place)
        else:
            self.device(action.device, (*place, "device"))

    def verb_exec(self, action: fs.Exec, place: Place) -> None:
        for i, argument in enumerate(action.argv):
            for name in placeholders(argument):
                what = f"there is no name {{blksnap:{name}}}"
                self.report((*place, "argv", i), what, "{blksnap:node}, :image, :module ...")
            for snapshot, device in PLACEHOLDER.findall(argument):
                where = (*place, "argv", i)
                if not snapshot:
                    self.device(device, where)
                    continue
                self.original(device, where)
                if snapshot not in self.ever | self.excused:
                    self.report(where, f"there is no snapshot `{snapshot}`", "")
                elif snapshot in dict(self.held()):
                    self.member(device, snapshot, where)
        for i, name in enumerate(action.changes):
            self.device(name, (*place, "changes", i))

    def verb_check_order(self, action: fs.CheckOrder, place: Place) -> None:
        kind = "ring" if action.files is None else "file_ring"
        self.load(action.load, place, (kind,), ended=True)
        if action.files is None and action.snapshot is not None:
            self.snapshot(action.snapshot, place, taken=True)

    def verb_start_load(self, action: load.StartLoad, place: Place) -> None:
        here = (*place, action.kind)
        if action.name in self.loads and action.name not in self.excused:
            self.report((*place, "name"), f"load `{action.name}` runs already", "another name")
        self.loads[action.name] = action
        what = action.load
        if isinstance(what, (load.Writers, load.Ring)):
            self._writing(what, here)
        elif isinstance(what, load.FileRing):
            for i, path in enumerate(what.files):
                self.mounted(path, (*here, "files", i))
        elif isinstance(what, load.Answer):
            found = self.snapshot(what.snapshot, here)
            if found is not None:
                found.storage = True
            if what.device is not None:
                self.device(what.device, (*here, "device"))
        elif isinstance(what, load.TakeCycle):
            self._taking(what, here)
        elif isinstance(what, load.Freeze):
            self.mounted(what.at, (*here, "at"))
        elif isinstance(what, load.Readers) and what.snapshot is not None:
            self.image(what.snapshot, what.device, here)
        elif isinstance(what, load.Readers):
            self.device(what.device, (*here, "device"))

    def _taking(self, what: load.TakeCycle, place: Place) -> None:
        for i, name in enumerate(what.devices):
            self.device(name, (*place, "devices", i))
            held = [s for s, known in self.held() if name in known.devices]
            if held and self.strict:
                right = "other devices: each round creates a snapshot of its own"
                self.report((*place, "devices", i), f"snapshot `{held[0]}` holds `{name}`", right)
            if name not in self.tracked | self.excused:
                right = "a `create` before, so that it is known since when it is tracked"
                self.report((*place, "devices", i), f"`{name}` is not tracked", right)
        known = self.device(what.storage, (*place, "storage"))
        if known is not None:
            self.storage_range(what.within.at, what.within.size, known, (*place, "within"))

    def _writing(self, what: load.Writers | load.Ring, place: Place) -> None:
        if isinstance(what, load.Writers) and what.snapshot is not None:
            self.image(what.snapshot, what.device, place)
        names = (what.device,) if isinstance(what, load.Writers) else what.devices
        for name in names:
            known = self.device(name, (*place, "devices" if len(names) > 1 else "device"))
            if known is not None and what.within is not None:
                check_range(what.within, known, (*place, "within"), self.report)

    def verb_wait_load(self, action: load.WaitLoad, place: Place) -> None:
        self.load(action.load, place)

    def verb_stop_load(self, action: load.StopLoad, place: Place) -> None:
        kinds = load.TIMED if action.report is not None else ()
        self.load(action.load, place, ("answer",) if action.events_as_model else kinds)
        stopped = self.loads.pop(action.load, None)
        if stopped is not None:
            self.ended[action.load] = stopped
        if stopped is None or not isinstance(stopped.load, load.Writers):
            return
        for name, other in self.loads.items():
            if name in self.excused or not isinstance(other.load, load.TakeCycle):
                continue
            if stopped.load.device in other.load.devices:
                what = f"load `{name}` still takes snapshots of `{stopped.load.device}`"
                self.report((*place, "load"), what, f"stop `{name}` before")

    def verb_module_load(self, action: machine.ModuleLoad, place: Place) -> None:
        if self.strict:
            check_parameters(action.parameters or {}, (*place, "parameters"), self.report)

    def verb_module_unload(self, action: machine.ModuleUnload, place: Place) -> None:
        if self.strict:
            if self.snapshots and not self.excused:
                what = f"snapshots exist: {', '.join(self.snapshots)}"
                self.report(place, what, "destroy them before, or expect_error EBUSY (K28)")
            self.tracked.clear()

    def verb_set_parameters(self, action: machine.SetParameters, place: Place) -> None:
        if self.strict:
            check_parameters(action.parameters, (*place, "parameters"), self.report)

    def verb_inject(self, action: machine.Inject, place: Place) -> None:
        if action.device is None:
            return
        self.device(action.device, (*place, "device"))
        if action.device not in self.tracked | self.excused:
            what = f"`{action.device}` is not tracked"
            self.report((*place, "device"), what, "a `create` before")

    def verb_ioctl(self, action: machine.Ioctl, place: Place) -> None:
        if action.device is not None:
            self.device(action.device, (*place, "device"))

    def verb_mark_memory(self, action: machine.MarkMemory, place: Place) -> None:
        self.marks.add(action.name)

    def verb_check_memory(self, action: machine.CheckMemory, place: Place) -> None:
        if action.since not in self.marks | self.excused:
            what = f"there is no mark `{action.since}`"
            self.report((*place, "since"), what, "a `mark_memory` before this step")

    def verb_add_device(self, action: machine.AddDevice, place: Place) -> None:
        if action.make is not None:
            where = (*place, "make", action.make.kind)
            self.known[action.device] = check_device(
                action.make, where, self.known, self.excused, self.report
            )
        elif action.device in self.removed:
            self.known[action.device] = self.removed.pop(action.device)
        elif action.device not in self.excused:
            what = f"`{action.device}` is not a device that was removed"
            self.report((*place, "device"), what, "`make`, or a `remove_device` before")

    def verb_remove_device(self, action: machine.RemoveDevice, place: Place) -> None:
        known = self.device(action.device, (*place, "device"))
        if known is not None and known.is_disk:
            self.report((*place, "device"), f"`{action.device}` is a disk", "`unplug`")
        elif known is not None and self.strict:
            self.removed[action.device] = self.known.pop(action.device, known)
            self.tracked.discard(action.device)

    def verb_assemble(self, action: machine.Assemble, place: Place) -> None:
        device = self.scenario.devices.get(action.device)
        if device is None or device.kind not in ("stripe", "lvm", "raid"):
            if action.device not in self.excused:
                what = f"`{action.device}` is no stripe, lvm or raid device"
                self.report((*place, "device"), what, "one declared in `devices`")
        else:
            left_out = set(action.without)
            for member in device.below:
                if member not in left_out:
                    self.image(action.snapshot, member, place)
            for name in left_out - set(device.below):
                self.report((*place, "without"), f"`{name}` is no member", ", ".join(device.below))
        self.known[action.name] = self.known.get(action.device, Known(None))

    def verb_client(self, action: probe.Client, place: Place) -> None:
        self._three(action, place)

    def verb_fuzz(self, action: probe.Fuzz, place: Place) -> None:
        self._three(action, place)

    def _three(self, action: probe.ClientStep, place: Place) -> None:
        for i, name in enumerate(action.devices):
            known = self.device(name, (*place, "devices", i))
            if known is not None and known.size not in (None, probe.CLIENT_SIZE):
                what = f"`{name}` is not of 64MiB"
                self.report((*place, "devices", i), what, "the client counts on it")

    def verb_second_filter(self, action: probe.SecondFilter, place: Place) -> None:
        self.device(action.device, (*place, "device"))

    def _disk(self, name: str, place: Place) -> None:
        known = self.device(name, (*place, "disk"))
        if known is not None and not known.is_disk and name not in self.excused:
            self.report((*place, "disk"), f"`{name}` is not a disk", "")

    def verb_resize(self, action: machine.Resize, place: Place) -> None:
        name = action.device
        known = self.device(name, (*place, "device"))
        disk, stacked = self.scenario.disks.get(name), self.scenario.devices.get(name)
        if disk is not None:
            check_disk_size(action.size, disk.logical_block_size, place, self.report)
        elif stacked is not None and stacked.can_resize:
            stack = stacked.stack
            below = self.known.get(stack.on) if isinstance(stack, Linear) else None
            if isinstance(stack, Linear) and below is not None:
                check_window(stack.at, action.size, below, place, self.report)
            else:
                check_disk_size(action.size, SECTOR, place, self.report)
        elif known is not None and name not in self.excused:
            right = "a disk, a linear or a loop on a file can"
            self.report((*place, "device"), f"`{name}` cannot get another size", right)
        self.resized.add(name)
        if name in self.known:
            self.known[name].size = action.size

    def verb_throttle(self, action: machine.Throttle, place: Place) -> None:
        self._disk(action.disk, place)

    def verb_unplug(self, action: machine.Unplug, place: Place) -> None:
        self._disk(action.disk, place)
        if action.disk in self.known:
            self.removed[action.disk] = self.known.pop(action.disk)
            self.tracked.discard(action.disk)

    def verb_boot(self, _action: machine.Boot, _place: Place) -> None:
        """A new kernel: of all that was only the disks are left."""
        self.off = None
        self.snapshots.clear()
        self.loads.clear()
        self.ended.clear()
        self.mounts.clear()
        self.marks.clear()
        self.tracked.clear()
        for name in [name for name, known in self.known.items() if not known.is_disk]:
            self.removed[name] = self.known.pop(name)

    def verb_reboot(self, _action: machine.Reboot, place: Place) -> None:
        self.verb_boot(machine.Boot(saved=False), place)

    def _logged(self, name: str, place: Place) -> None:
        """A disk with a log."""
        disk = self.scenario.disks.get(name)
        if disk is None:
            self._disk(name, place)
        elif not disk.log:
            self.report(place, f"disk `{name}` has no log", "`log: true` where it is declared")

    def verb_fsync(self, action: power.Fsync, place: Place) -> None:
        self.device(action.device, (*place, "device"))

    def verb_check_log(self, action: power.CheckLog, place: Place) -> None:
        self._logged(action.device, (*place, "device"))

    def verb_check_journal(self, action: power.CheckJournal, place: Place) -> None:
        self._logged(action.device, (*place, "device"))

    def verb_compare_logs(self, action: power.CompareLogs, place: Place) -> None:
        self._logged(action.device, (*place, "device"))
        self._logged(action.like, (*place, "like"))

    def verb_crash_states(self, action: power.CrashStates, place: Place) -> None:
        self._logged(action.device, (*place, "device"))

    def verb_plug(self, action: machine.Plug, place: Place) -> None:
        if action.disk in self.removed:
            self.known[action.disk] = self.removed.pop(action.disk)
        elif action.disk not in self.excused:
            self.report((*place, "disk"), f"`{action.disk}` is not unplugged", "an `unplug` before")

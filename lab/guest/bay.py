"""The disks of one guest: in slots that every machine has, or hot-plugged; resized, unplugged.

A disk keeps its host file as long as the guest lives, so one that was unplugged comes back with
what it held.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from lab.crash.states import copy_sparse
from lab.errors import LabError, UsageError
from lab.guest.channel import Channel, Pending
from lab.guest.command import ADDRESS_END, ADDRESS_SLOTS, slot_name
from lab.guest.disks import (
    BlockSizes,
    DiskSpec,
    HostFile,
    Limits,
    Slot,
    block_node,
    create_host_file,
    device_path,
    disk_device,
    failing_node,
    logging_node,
    served_node,
    throttling,
)
from lab.guest.machine import Machine
from lab.units import SECTOR

REQUEST_LIMIT = 90.0
PLUG_LIMIT = 120.0
PAUSE = 0.02

# Prints the names of the disks with a serial number; there is no udev that would.
_FIND = (
    "for d in /sys/block/vd*; do s=; read -r s < $d/serial;"
    ' [ "$s" = "$1" ] && echo "${d##*/}"; done; true'
)
"""No process for each disk: on a debug kernel those take seconds."""


class DiskError(LabError):
    """A disk did not come, go or change its size in the guest."""


@dataclass(frozen=True)
class GuestDisk:
    """A disk of a guest: the guest's path of it, size in bytes, the file on the host behind it.

    log: of all writes since the machine started, None if none is kept; base: what the disk held
    then, None for zeros.
    """

    name: str
    path: str
    size: int
    host_file: Path
    log: Path | None = None
    base: Path | None = None


@dataclass(frozen=True)
class Place:
    """Where a disk hangs on the machine: ids of device and node, and its PCI slot."""

    device: str
    node: str
    address: int

    @property
    def slot(self) -> int:
        """The number of the slot; those from the machine's count on are for hot-plug."""
        return self.address - ADDRESS_SLOTS


@dataclass(frozen=True)
class Attached:
    """A disk that hangs on a machine; `slot`: its number, None if it was plugged in."""

    spec: DiskSpec
    file: HostFile
    place: Place
    slot: int | None
    path: str


class DiskBay:
    """The disks of a guest by name, and where each is; `slots`: those the machine starts with."""

    def __init__(
        self,
        folder: Path,
        slots: tuple[BlockSizes, ...],
        make: Callable[[Path, str, int], HostFile] = create_host_file,
    ) -> None:
        """`make` makes the file of a disk, of this name and size in bytes, in a folder."""
        self.disks: dict[str, GuestDisk] = {}
        self._folder = folder
        self._make = make
        self._slots = slots
        self._specs: dict[str, DiskSpec] = {}
        self._files: dict[str, HostFile] = {}
        self._places: dict[str, Place] = {}
        self._logs: dict[str, Path] = {}
        self._plugs = 0

    def declare(self, specs: Iterable[DiskSpec]) -> None:
        """Make the files of disks and put each that fits into a slot."""
        for spec in specs:
            self._create(spec)
            free = self._free_slots(spec)
            if free:
                name = slot_name(free[0])
                self._places[spec.name] = Place(name, name, ADDRESS_SLOTS + free[0])
                self._show(spec.name, device_path(free[0] + 1))

    def in_slots(self) -> list[str]:
        """Names of the disks that are in slots, by slot."""
        names = [name for name, place in self._places.items() if place.slot < len(self._slots)]
        return sorted(names, key=lambda name: self._places[name].address)

    def not_in_slots(self) -> list[str]:
        """Names of the disks that have to be plugged into a machine that has just started."""
        return [name for name in self._specs if name not in self.in_slots()]

    def attached(self) -> tuple[Attached, ...]:
        """All disks that hang on the machine now."""
        return tuple(
            Attached(
                spec=self._specs[name],
                file=self._files[name],
                place=place,
                slot=place.slot if place.slot < len(self._slots) else None,
                path=self.disks[name].path,
            )
            for name, place in self._places.items()
        )

    def slots(self) -> tuple[Slot, ...]:
        """All slots for a machine about to start, with the disks that are in them."""
        slots = [Slot(sizes) for sizes in self._slots]
        for name in self.in_slots():
            place = self._places[name]
            node = self._node(name, place.node)
            serial = self._specs[name].serial_number
            slots[place.slot] = replace(slots[place.slot], node=node, serial=serial)
        return tuple(slots)

    def announce(self, machine: Machine) -> None:
        """Tell a guest that was saved with empty slots the sizes of the disks that are in them."""
        for name in self.in_slots():
            size = self.disks[name].size
            machine.qmp("block_resize", {"node-name": self._places[name].node, "size": size})

    def await_sizes(self, channel: Channel, names: Iterable[str], timeout: float) -> None:
        """Wait until the guest's kernel knows the sizes of disks."""
        limit = time.monotonic() + timeout
        left = list(names)
        while left:
            sizes = [(name, self._size_request(channel, name)) for name in left]
            left = [
                name
                for name, answer in sizes
                if int(answer.result(REQUEST_LIMIT)["text"]) * SECTOR != self.disks[name].size
            ]
            if left and time.monotonic() > limit:
                raise DiskError(f"the guest does not see the size of disk {', '.join(left)}")
            if left:
                time.sleep(PAUSE)

    def resize(self, machine: Machine, channel: Channel, name: str, size: int) -> GuestDisk:
        """Change the size of a disk, and wait until the guest's kernel knows."""
        disk = self._known(name)
        if size <= 0 or size % self._specs[name].logical_block_size:
            raise UsageError(f"disk {name} cannot have {size} bytes")
        place = self._placed(name)
        machine.qmp("block_resize", {"node-name": place.node, "size": size})
        self._specs[name] = replace(self._specs[name], size=size)
        self.disks[name] = replace(disk, size=size)
        self.await_sizes(channel, [name], REQUEST_LIMIT)
        return self.disks[name]

    def throttle(self, machine: Machine, name: str, limits: Limits) -> None:
        """Let a disk of the running machine do only so much."""
        self._known(name)
        machine.qmp("block_set_io_throttle", throttling(self._placed(name).device, limits))

    def unplug(self, machine: Machine, name: str) -> None:
        """Take a disk out of the running machine; its file stays."""
        self._known(name)
        place = self._placed(name)
        machine.qmp("device_del", {"id": place.device})
        machine.wait_event(
            "DEVICE_DELETED", lambda data: data.get("device") == place.device, timeout=PLUG_LIMIT
        )
        machine.qmp("blockdev-del", {"node-name": place.node})
        del self._places[name]

    def plug(self, machine: Machine, channel: Channel, disk: DiskSpec | str) -> GuestDisk:
        """Plug a new disk in, or one that was unplugged (its name), and find its path."""
        name = disk if isinstance(disk, str) else disk.name
        if not isinstance(disk, str):
            self._create(disk)
        if name not in self._specs:
            raise UsageError(f"the guest has no disk {name!r}")
        if name in self._places:
            raise UsageError(f"disk {name!r} is plugged in already")
        place = self._free_place()
        machine.qmp("blockdev-add", self._node(name, place.node))
        spec = self._specs[name]
        device = disk_device(
            place.device,
            place.node,
            place.address,
            sizes=spec.block_sizes,
            serial=spec.serial_number,
            discard=spec.discard,
        )
        machine.qmp("device_add", device)
        self._places[name] = place
        self._show(name, self._find(channel, name))
        return self.disks[name]

    def powered_off(self) -> None:
        """The machine is gone: what was hot-plugged has to be plugged in anew."""
        slots = self.in_slots()
        self._places = {name: self._places[name] for name in slots}
        for name in self._logs:
            self._restart_log(name)

    def may_fail(self, node: object) -> bool:
        """Whether I/O of the disk with this node is meant to fail."""
        names = [name for name, place in self._places.items() if place.node == node]
        specs = [self._specs[name] for name in names]
        return any(spec.server is not None or spec.errors for spec in specs)

    def remove_files(self) -> None:
        """Remove the files of all disks."""
        for file in self._files.values():
            file.path.unlink(missing_ok=True)
        for name, log in self._logs.items():
            log.unlink(missing_ok=True)
            self._base(name).unlink(missing_ok=True)

    def _create(self, spec: DiskSpec) -> None:
        serials = {other.serial_number for other in self._specs.values()}
        if spec.name in self._specs or spec.serial_number in serials:
            raise UsageError(f"two disks have the name or serial number of {spec.name!r}")
        self._files[spec.name] = self._make(self._folder, spec.name, spec.size)
        self._specs[spec.name] = spec
        if spec.log:
            self._logs[spec.name] = self._folder / f"{spec.name}.writes"
            self._logs[spec.name].touch(exist_ok=False)

    def _show(self, name: str, path: str) -> None:
        log, base = self._logs.get(name), self._base(name)
        size, file = self._specs[name].size, self._files[name].path
        self.disks[name] = GuestDisk(name, path, size, file, log, base if base.exists() else None)

    def _node(self, name: str, node: str) -> dict[str, object]:
        discard, server = self._specs[name].discard, self._specs[name].server
        if server is not None:
            return served_node(node, name, server, discard=discard)
        if self._specs[name].errors:
            below = block_node(f"{node}-disk", self._files[name], discard=discard)
            return failing_node(node, below, self._specs[name].errors)
        if name not in self._logs:
            return block_node(node, self._files[name], discard=discard)
        below = block_node(f"{node}-disk", self._files[name], discard=discard)
        return logging_node(node, below, self._logs[name])

    def _base(self, name: str) -> Path:
        return self._folder / f"{name}.base"

    def _restart_log(self, name: str) -> None:
        """QEMU begins a new log when it starts; keep what the disk holds then."""
        file, base = self._files[name].path, self._base(name)
        base.unlink(missing_ok=True)
        with base.open("xb") as made:
            made.truncate(file.stat().st_size)
        copy_sparse(file, base)
        self._logs[name].write_bytes(b"")
        self._show(name, self.disks[name].path)

    def _free_slots(self, spec: DiskSpec) -> list[int]:
        used = {place.slot for place in self._places.values()}
        return [
            number
            for number, sizes in enumerate(self._slots)
            if number not in used and sizes == spec.block_sizes and spec.discard
        ]

    def _free_place(self) -> Place:
        used = {place.address for place in self._places.values()}
        for address in range(ADDRESS_SLOTS + len(self._slots), ADDRESS_END):
            if address not in used:
                self._plugs += 1
                return Place(f"plug{self._plugs}", f"plug{self._plugs}-node", address)
        raise UsageError("the machine has no PCI slot left for another disk")

    def _known(self, name: str) -> GuestDisk:
        if name not in self.disks:
            raise UsageError(f"the guest has no disk {name!r}", f"one of: {', '.join(self.disks)}")
        return self.disks[name]

    def _placed(self, name: str) -> Place:
        if name not in self._places:
            raise UsageError(f"disk {name!r} is not plugged in")
        return self._places[name]

    def _size_request(self, channel: Channel, name: str) -> Pending:
        block = self.disks[name].path.removeprefix("/dev/")
        args = {"path": f"/sys/block/{block}/size", "limit": 64}
        return channel.submit("read_file", args, REQUEST_LIMIT)

    def _find(self, channel: Channel, name: str) -> str:
        serial = self._specs[name].serial_number
        argv = ["sh", "-c", _FIND, "find", serial]
        limit = time.monotonic() + PLUG_LIMIT
        while time.monotonic() < limit:
            found = channel.request("exec", {"argv": argv, "timeout": PLUG_LIMIT}, PLUG_LIMIT)
            names = str(found["stdout"]).split()
            if names:
                return f"/dev/{names[0]}"
            time.sleep(PAUSE)
        raise DiskError(f"disk {name} was plugged in, and the guest did not find it")

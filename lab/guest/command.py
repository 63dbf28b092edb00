"""The QEMU command line of a guest, from a description of the machine.

The device list of a template and of its clones must be the same, so all addresses are fixed here.
"""

import json
import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from lab.guest.disks import Slot, disk_device, empty_node
from lab.programs import find_program
from lab.units import GIB, MIB

AGENT_PORT = "org.blksnap.agent"
# Where the agent of a recorded guest waits for the host, by TCP.
AGENT_TCP = 7000
QEMU = "qemu-system-x86_64"

# PCI slots of the "pc" machine. 0 and 1 are the chipset's.
ADDRESS_ROOT = 0x2
ADDRESS_NETWORK = 0x3
ADDRESS_SERIAL = 0x4
ADDRESS_RNG = 0x5
ADDRESS_SLOTS = 0x6
ADDRESS_END = 0x20

_KERNEL_COMMAND_LINE = (
    "console=ttyS0",
    # A bug of the kernel ends the guest at once, with its trace on the console.
    "oops=panic",
    "panic=-1",
    "hung_task_panic=0",
    "rcupdate.rcu_cpu_stall_timeout=60",
    # Under emulation the clocks of two processors look unsteady to the kernel, and they are not.
    "tsc=reliable",
    "no_timer_check",
    # The log is read once a second, and what a kernel with debug options says must fit until then.
    "log_buf_len=1M",
    # Addresses in traces are the same in every guest.
    "nokaslr",
    # The emulator keeps its translation of a program for the next run only at the same address:
    # a compiler or Python that starts for the second time takes half the time.
    "norandmaps",
    "mitigations=off",
    "random.trust_cpu=on",
    "audit=0",
    "apparmor=0",
    "net.ifnames=0",
    "sysrq_always_enabled",
    "ignore_loglevel",
)


_VIRTIO = ("virtio-blk-pci", "virtio-net-pci", "virtio-rng-pci", "virtio-serial-pci")
# Not "max": emulated, the kernel's string copies (erms) and its guards against user memory (smap)
# are slow; without them reading files takes half the time. The random instructions feed the kernel.
_EMULATED = "qemu64,+rdrand,+ssse3,+sse4.1,+sse4.2,+popcnt,+cx16"


class Accel(StrEnum):
    """How QEMU runs the guest's code."""

    KVM = "kvm"
    TCG = "tcg"


@dataclass(frozen=True)
class Recorded:
    """What makes a machine repeatable, to the instruction; see lab.replay.

    `log`: gets, or has, all that does not follow from the start. `started`: what the guest's clock
    says at the start. `snapshots`: a qcow2 file for states on the way; if there is one the log is
    replayed, and the machine waits to be told to go on; otherwise it is recorded.
    """

    log: Path
    started: str
    snapshots: Path | None = None


@dataclass(frozen=True)
class MachineSpec:
    """What a guest is made of; sizes in bytes.

    `ram_file` holds the guest's memory: shared when a template is made, mapped privately in its
    clones, none for a guest of its own. `root` is the node of the root disk, if there is one.
    `one_thread`: all processors are emulated in turns (see lab.guest.identity.misses_patches).
    `icount`: the guest's clocks go by the number of instructions, a nanosecond each, whatever the
    host does meanwhile. Its one processor never sleeps, since a sleeping one's time is the host's.
    `pause_on_panic`: a guest that panics stays as it is instead of ending. `recorded`: it is
    recorded or replayed; its clocks go by instructions too, and its processor sleeps.
    """

    kernel: Path
    initrd: Path
    accel: Accel
    root: dict[str, object] | None = None
    memory: int = GIB
    cpus: int = 2
    ram_file: Path | None = None
    ram_shared: bool = False
    slots: tuple[Slot, ...] = ()
    one_thread: bool = False
    icount: bool = False
    pause_on_panic: bool = False
    recorded: Recorded | None = None


def kernel_command_line(spec: MachineSpec) -> str:
    """What the guest's kernel is told."""
    more: tuple[str, ...] = ("idle=poll",) if spec.icount else ()
    if spec.recorded is not None:
        # Calibrating that timer is a loop of pauses, and each pause an entry in the log.
        more = ("nolapic_timer", f"lab.port=tcp:{AGENT_TCP}")
    return " ".join((*_KERNEL_COMMAND_LINE, *more))


def slot_name(index: int) -> str:
    """The id of the device in a slot; its node has the same name."""
    return f"slot{index}"


@dataclass(frozen=True)
class Wiring:
    """Inherited descriptors, and files: what connects a QEMU process with the lab.

    `restored`: the machine does not boot but gets saved state (see lab.guest.saved).
    `console_socket`: what the console is joined to besides its file, None: to nothing.
    """

    monitor: int
    agent: int
    console: Path
    restored: bool = False
    console_socket: int | None = None


def qemu_command(spec: MachineSpec, wiring: Wiring) -> list[str]:
    """The command that starts QEMU; an option and its value are neighbours."""
    command = [
        *[find_program("setpriv"), "--pdeathsig=KILL", "--"],
        *[find_program(QEMU), "-name", "blksnap-lab", "-nodefaults", "-no-user-config"],
        *["-display", "none", "-vga", "none", "-no-reboot"],
        # The guest prints its trace and ends by itself; we get the event all the same.
        *["-action", "panic=pause" if spec.pause_on_panic else "panic=none"],
        *_processor(spec),
        *_memory(spec),
        *["-kernel", str(spec.kernel), "-initrd", str(spec.initrd)],
        *["-append", kernel_command_line(spec)],
        *_connections(spec, wiring),
        *_kicks(spec),
        *_devices(spec),
    ]
    if spec.recorded is not None:
        command += _recorded(spec.recorded)
    # Restored from saved state when told so, and then paused until told to go on.
    return [*command, "-incoming", "defer", "-S"] if wiring.restored else command


def _processor(spec: MachineSpec) -> list[str]:
    if spec.accel is Accel.KVM:
        return ["-accel", "kvm", "-cpu", "host", "-smp", str(spec.cpus)]
    processor = ["-cpu", _EMULATED, "-smp", str(spec.cpus)]
    if spec.recorded is not None:
        rr, log = "replay" if spec.recorded.snapshots else "record", str(spec.recorded.log)
        counting = _json_free("shift=0,sleep=on", rr=rr, rrfile=log)
        return ["-accel", "tcg,thread=single", "-icount", counting, *processor]
    if spec.icount:
        return ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=on", *processor]
    threads = "single" if spec.one_thread else "multi"
    return ["-accel", f"tcg,thread={threads}", *processor]


def _recorded(recorded: Recorded) -> list[str]:
    """What only a machine has that is recorded or replayed."""
    options = [
        *["-rtc", f"base={recorded.started},clock=vm"],
        # Loading its state waits for the processor, which in a replay waits for the loading.
        *["-global", "apic.vapic=off"],
        *["-object", "filter-replay,id=replay,netdev=net"],
    ]
    if recorded.snapshots is None:
        return options
    # The first of all drives, and not one of the guest's: QEMU puts states into the first, and
    # what it writes below a recorded disk waits for the guest.
    states = _json_free("if=none,id=states,format=qcow2", file=str(recorded.snapshots))
    return [*options, "-drive", states, "-S"]


def _kicks(spec: MachineSpec) -> list[str]:
    """How a device hears of requests: from the emulated processor itself, with nothing between.

    QEMU's main loop would be told by one of some 190 descriptors, and look at all of them each
    time. KVM tells it without leaving the guest, which is worth that.
    """
    if spec.accel is Accel.KVM:
        return []
    return [word for one in _VIRTIO for word in ("-global", f"{one}.ioeventfd=off")]


def _memory(spec: MachineSpec) -> list[str]:
    machine = "pc,usb=off,vmport=off,hpet=off"
    size = f"{spec.memory // MIB}M"
    backend: dict[str, object] = {"id": "ram", "size": spec.memory}
    if spec.ram_file is None:
        backend |= {"qom-type": "memory-backend-ram"}
    else:
        path = str(spec.ram_file)
        backend |= {"qom-type": "memory-backend-file", "mem-path": path, "share": spec.ram_shared}
    return ["-machine", f"{machine},memory-backend=ram", "-m", size, "-object", _json(backend)]


def _connections(spec: MachineSpec, wiring: Wiring) -> list[str]:
    log = os.fspath(wiring.console)
    if wiring.console_socket is None:
        console = _json_free("file", id="console", path=log)
    else:
        fd = str(wiring.console_socket)
        console = _json_free("socket", id="console", fd=fd, logfile=log)
    agent = ["-chardev", f"socket,id=agent,fd={wiring.agent}"]
    return [
        *["-chardev", f"socket,id=monitor,fd={wiring.monitor}"],
        *["-mon", "chardev=monitor,mode=control"],
        *([] if spec.recorded else agent),
        *["-chardev", console],
        *["-serial", "chardev:console"],
    ]


def _devices(spec: MachineSpec) -> list[str]:
    network = "user,id=net,restrict=on"
    if spec.recorded is not None and spec.recorded.snapshots is None:
        network += f",hostfwd=tcp:127.0.0.1:0-:{AGENT_TCP}"
    card = f"virtio-net-pci,netdev=net,addr={ADDRESS_NETWORK:#x},romfile="
    if spec.recorded is not None:
        # A loaded state would announce itself, at a time that the log does not know.
        card += ",guest_announce=off"
    # Neither the port of the agent nor random numbers: both are beyond recording, and a loaded
    # state of the port has a timer that the log does not know.
    unrecorded = [
        *["-device", f"virtio-serial-pci,id=serial,addr={ADDRESS_SERIAL:#x}"],
        *["-device", f"virtserialport,id=agent,bus=serial.0,nr=1,chardev=agent,name={AGENT_PORT}"],
        *["-device", f"virtio-rng-pci,addr={ADDRESS_RNG:#x}"],
    ]
    devices = [
        *["-netdev", network],
        *["-device", card],
        *([] if spec.recorded else unrecorded),
        *["-device", "pvpanic"],
    ]
    if spec.root is not None:
        root = f"virtio-blk-pci,drive={spec.root['node-name']},serial=root,addr={ADDRESS_ROOT:#x}"
        devices += ["-blockdev", _json(_node(spec, spec.root)), "-device", root]
    for index, slot in enumerate(spec.slots):
        name = slot_name(index)
        node = slot.node or empty_node(name)
        address = ADDRESS_SLOTS + index
        device = disk_device(name, name, address, sizes=slot.sizes, serial=slot.serial or name)
        devices += ["-blockdev", _json(_node(spec, node)), "-device", _json(device)]
    return devices


def _node(spec: MachineSpec, node: dict[str, object]) -> dict[str, object]:
    """A node of a disk; of a recorded one requests end when the log says so."""
    if spec.recorded is None:
        return node
    below = node | {"node-name": f"{node['node-name']}-disk"}
    return {
        "driver": "blkreplay",
        "node-name": node["node-name"],
        "discard": node.get("discard", "ignore"),
        "image": below,
    }


def _json(value: dict[str, object]) -> str:
    return json.dumps(value, separators=(",", ":"))


def _json_free(kind: str, **options: str) -> str:
    """QEMU's older spelling of options, in which a comma within a value is doubled."""
    return ",".join([kind, *(f"{k}={v.replace(',', ',,')}" for k, v in options.items())])

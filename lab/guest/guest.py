"""A running guest: its machine, the channel to its agent, its disks, and what can be done to it.

A guest outlives its machine: after a power cut or a reboot it boots again, with what its disks
held, on a new machine and a new channel.
"""

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lab.flavour import Flavour
from lab.guest.bay import Attached, DiskBay, GuestDisk
from lab.guest.channel import Channel
from lab.guest.command import MachineSpec
from lab.guest.disks import DiskSpec, Limits
from lab.guest.lost import GuestLost, HostFault
from lab.guest.machine import Ending, Machine, MachineState, MachineStateError
from lab.guest.qmp import QmpEvent
from lab.guest.saved import restore_devices
from lab.guest.ssh import Ssh
from lab.image import Keys

BOOT_LIMIT = 600.0
REQUEST_LIMIT = 90.0
SSH_LIMIT = 180.0
EXIT_LIMIT = 5.0
HELLO_LIMIT = 120.0
SIZES_LIMIT = 90.0
ENTROPY = 64


@dataclass(frozen=True)
class SavedStart:
    """Where a guest starts from: the saved devices of one that had just booted, and its root.

    root: the overlay of the guest's root disk; empty: what that is a copy of in the beginning.
    """

    state: Path
    empty: Path
    root: Path


class Guest:
    """A guest as scenarios use it. Made by Template.clone(), which also ends it.

    `folder` gets its console and the files of its disks. `module_dir` is the guest's folder with
    the kernel modules, `module_source` the host's with their sources; None if it has none.
    `image`: says what its image and its kernel are, as Identity does. `saved`: None if there is
    nothing to start from but its kernel.
    `flavour`: the names of the modules and of their nodes.
    """

    def __init__(
        self,
        spec: MachineSpec,
        folder: Path,
        disks: DiskBay,
        keys: Keys,
        module_dir: str | None,
        *,
        image: str,
        saved: SavedStart | None = None,
        module_source: Path | None = None,
        console_socket: bool = False,
        flavour: Flavour,
    ) -> None:
        self.folder = folder
        self.image = image
        self.module_source = module_source
        self.module_dir = module_dir
        self.flavour = flavour
        self._spec = self._first_spec = spec
        self._saved = saved
        self._bay = disks
        self._keys = keys
        self._boots = 0
        # Seconds from the wish for a clone to its agent's first answer, and to its being ready.
        self.first_answer_s: float | None = None
        self.ready_s: float | None = None
        self._machine = Machine(spec, folder, console_socket=console_socket)
        self._channel: Channel | None = None

    @property
    def machine(self) -> Machine:
        """The machine it runs on, or the last one it ran on."""
        return self._machine

    @property
    def channel(self) -> Channel:
        """The channel to its agent."""
        if self._channel is None:
            raise GuestLost("it was not started")
        return self._channel

    @property
    def disks(self) -> Mapping[str, GuestDisk]:
        """Its disks by name, also those that are unplugged just now."""
        return self._bay.disks

    def start(self, *, restored: bool = False) -> None:
        """Launch the machine, to boot from its kernel or to wait for saved state."""
        self._machine.listen(self._on_event)
        self._machine.launch(restored=restored)
        assert self._machine.agent_socket is not None  # it was launched
        self._channel = Channel(self._machine.agent_socket, self._why_closed)

    def restore(self, started: float | None = None) -> None:
        """Launch the machine from its saved start; ready for use on return.

        `started`: since when that takes time, by time.monotonic().
        """
        assert self._saved is not None  # or nobody calls this
        since = time.monotonic() if started is None else started
        self.start(restored=True)
        restore_devices(self._machine, self._saved.state)
        self._machine.qmp("cont")
        # Not before: QEMU 10 lets nobody touch the disks of a machine that has not gone on yet.
        self._bay.announce(self._machine)
        self.channel.hello(HELLO_LIMIT)
        self.first_answer_s = time.monotonic() - since
        self.freshen()
        self._bay.await_sizes(self.channel, self._bay.in_slots(), SIZES_LIMIT)
        self.plug_the_rest()
        self.ready_s = time.monotonic() - since

    def close(self) -> None:
        """End the guest; its console and the files of its disks stay."""
        try:
            self._machine.close()
        finally:
            if self._channel is not None:
                self._channel.close()

    def ssh(self) -> Ssh:
        """A new connection to its sshd, to be closed by the caller."""
        return Ssh.connect(self._machine.ssh_port(), self._keys, timeout=SSH_LIMIT)

    def attached_disks(self) -> tuple[Attached, ...]:
        """The disks that hang on its machine now."""
        return self._bay.attached()

    def resize_disk(self, name: str, size: int) -> GuestDisk:
        """Change the size of a disk (bytes); the guest's kernel knows it on return."""
        return self._bay.resize(self._machine, self.channel, name, size)

    def throttle(self, name: str, limits: Limits) -> None:
        """Let a disk do only so much from now on."""
        self._bay.throttle(self._machine, name, limits)

    def unplug(self, name: str) -> None:
        """Take a disk out of the running guest."""
        self._bay.unplug(self._machine, name)

    def plug(self, disk: DiskSpec | str) -> GuestDisk:
        """Plug in a new disk, or by its name one that was unplugged."""
        return self._bay.plug(self._machine, self.channel, disk)

    def power_cut(self) -> None:
        """End the machine at once. What the guest had not written to its disks is lost."""
        self._machine.power_cut()

    def boot(self, timeout: float = BOOT_LIMIT) -> None:
        """Boot after a power cut or shutdown, from the kernel; the agent answers on return.

        From then on all its processors are emulated by one thread: QEMU 10.0 with one for each
        aborts now and then while a kernel sets up its devices, or loses the guest's timers.
        """
        self._put_together(replace(self._spec, ram_file=None, one_thread=True))
        self.start()
        self.channel.hello(timeout)
        self.plug_the_rest()

    def boot_saved(self) -> None:
        """Be, after a power cut or shutdown, the guest again that had just booted; boot() if that
        was not saved.

        It has its disks as they are now, but for its root, which is as it was then.
        """
        if self._saved is None:
            self.boot()
            return
        self._put_together(self._first_spec)
        shutil.copyfile(self._saved.empty, self._saved.root)
        self.restore()

    def _put_together(self, spec: MachineSpec) -> None:
        """Another machine, with the disks."""
        if self._machine.state is not MachineState.EXITED:
            raise MachineStateError(f"the guest cannot boot: it is {self._machine.describe()}")
        self.close()
        self._bay.powered_off()
        self._boots += 1
        self._spec = replace(spec, slots=self._bay.slots())
        self._machine = Machine(self._spec, self.folder, f"-{self._boots}")

    def reboot(self, within: float, timeout: float = BOOT_LIMIT) -> Ending:
        """Shut down in order, or hard after `within` seconds, and boot; says which it was."""
        ending = self._machine.shutdown(within)
        self.boot(timeout)
        return ending

    def plug_the_rest(self) -> None:
        """Plug in the disks that are in no slot; after a start."""
        for name in self._bay.not_in_slots():
            self._bay.plug(self._machine, self.channel, name)

    def freshen(self) -> None:
        """Give a restored guest the right time and random state of its own."""
        channel = self.channel
        with Path("/dev/urandom").open("rb") as source:
            entropy = source.read(ENTROPY).hex()
        clock = channel.submit("set_clock", {"unix_ns": time.time_ns()}, REQUEST_LIMIT)
        seed = channel.submit("reseed", {"hex": entropy}, REQUEST_LIMIT)
        clock.result(REQUEST_LIMIT)
        seed.result(REQUEST_LIMIT)

    def _why_closed(self) -> GuestLost:
        """Why the agent's port was closed; by now QEMU has ended, or is about to."""
        machine = self._machine
        machine.wait_exit(EXIT_LIMIT)
        if machine.panic_info is not None:
            return GuestLost("its kernel panicked")
        return machine.loss()

    def _on_event(self, event: QmpEvent) -> None:
        """Runs in the QEMU thread; tells those who wait for the agent why it will not answer."""
        channel = self._channel
        if channel is None:
            return
        if event.name == "GUEST_PANICKED":
            channel.lose(GuestLost("its kernel panicked"))
        elif event.name == "LAB_EXITED":
            channel.lose(self._machine.loss())
        elif event.name == "VSERPORT_CHANGE" and event.data.get("open") is False:
            channel.lose(GuestLost("its agent ended"))
        elif event.name == "BLOCK_IO_ERROR" and not self._bay.may_fail(event.data.get("node-name")):
            channel.lose(HostFault(_disk_fault(event)))


def _disk_fault(event: QmpEvent) -> str:
    """What QEMU says of a disk that the host cannot read or write."""
    device = event.data.get("device") or event.data.get("node-name")
    why = "the host's disk is full" if event.data.get("nospace") else event.data.get("reason")
    return f"{event.data.get('operation')} of its disk {device} failed on the host: {why}"

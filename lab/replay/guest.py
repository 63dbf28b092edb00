"""A guest that is recorded while a scenario runs in it."""

import contextlib
import shutil
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.guest.bay import DiskBay
from lab.guest.channel import Channel
from lab.guest.command import AGENT_TCP, Recorded
from lab.guest.disks import DiskSpec
from lab.guest.guest import Guest
from lab.guest.lost import GuestLost
from lab.guest.qmp import QmpError
from lab.guest.template import BOOT_LIMIT, Template
from lab.modbuild import BuiltModule
from lab.modready import ReadyModule
from lab.progress import Progress, ProgressSink, silent
from lab.replay.recording import (
    INITRD,
    LOG,
    Mark,
    RecordedDisk,
    machine_spec,
    make_disk,
    make_root,
    recorded_disk,
)

RECORDED_SIZES_LIMIT = 300.0
CONNECT_LIMIT = 10.0
PAUSE = 0.5
QUIT_LIMIT = 120.0
HOST = "127.0.0.1"
FAILURE = "failure"


class RecordedGuest(Guest):
    """A guest whose agent is reached over its network, since only that is recorded."""

    def start(self, *, restored: bool = False) -> None:
        """Boot it, and wait for its agent. GuestLost if that does not come."""
        if restored:
            raise LabError("a recorded guest cannot start from a saved one")
        self._machine.listen(self._on_event)
        self._machine.launch()
        limit = time.monotonic() + BOOT_LIMIT
        while True:
            # Until the agent is there the guest refuses the connection, which then ends.
            try:
                self._channel = self._meet(limit)
                return
            except (GuestLost, OSError) as error:
                if self._machine.wait_exit(PAUSE):
                    raise self._why_closed() from error
                if time.monotonic() > limit:
                    raise GuestLost("its agent did not come up") from error

    def _meet(self, limit: float) -> Channel:
        port = self._machine.forwarded_port(AGENT_TCP)
        if port is None:
            raise QmpError("QEMU does not forward a port to the guest's agent")
        connection = socket.create_connection((HOST, port), CONNECT_LIMIT)
        connection.settimeout(None)
        channel = Channel(connection, self._explain)
        try:
            channel.hello(max(1.0, limit - time.monotonic()))
        except BaseException:
            channel.close()
            raise
        return channel

    def _explain(self) -> GuestLost:
        if self._machine.wait_exit(PAUSE):
            return self._why_closed()
        return GuestLost("its agent closed the connection")

    def icount(self) -> int:
        """Instructions since the start."""
        return int(self._machine.qmp("query-replay")["icount"])

    def finish(self) -> int | None:
        """End QEMU so that the log is whole; instructions by then, None if it has ended already."""
        try:
            end = self.icount()
            self._machine.qmp("quit")
        except (GuestLost, QmpError):
            end = None
        if not self._machine.wait_exit(QUIT_LIMIT):
            raise LabError("QEMU did not end the recording", "look at qemu.log beside it")
        return end


class RecordedTemplate:
    """Stands in for a template where a scenario is run: its guests boot, and are recorded.

    `marks`: instants of the last guest; `disks`: its disks; `end`: see Recording.
    """

    def __init__(self, template: Template, started: str, progress: ProgressSink = silent) -> None:
        self.template = template
        self.started = started
        self.marks: list[Mark] = []
        self.disks: tuple[RecordedDisk, ...] = ()
        self.end: int | None = None
        self._progress = progress
        self._guest: RecordedGuest | None = None

    @property
    def identity(self) -> Any:
        """What it was made of."""
        return self.template.identity

    @property
    def module(self) -> BuiltModule | ReadyModule | None:
        """The modules in its guests."""
        return self.template.module

    @contextlib.contextmanager
    def clone(
        self, disks: Sequence[DiskSpec], folder: Path, *, keepable: bool = False
    ) -> Iterator[Guest]:
        """A guest that boots and is recorded into `folder`; the log is whole at the end."""
        _ = keepable  # the recording is kept instead
        template = self.template
        with contextlib.ExitStack() as stack:
            bay = DiskBay(folder, tuple(disk.block_sizes for disk in disks), make_disk)
            stack.callback(bay.remove_files)
            bay.declare(disks)
            root = make_root(folder, template.image.disk)
            stack.callback(Path.unlink, folder / "root.qcow2", missing_ok=True)
            shutil.copyfile(template.spec.initrd, folder / INITRD)
            self.disks = tuple(map(recorded_disk, disks))
            spec = machine_spec(
                template.image.kernel,
                folder / INITRD,
                root,
                memory=template.spec.memory,
                slots=bay.slots(),
                recorded=Recorded((folder / LOG).absolute(), self.started),
            )
            guest = RecordedGuest(
                spec,
                folder,
                bay,
                template.keys,
                template.module_dir,
                image=template.contents,
                module_source=template.module_source,
                flavour=template.flavour,
            )
            stack.callback(guest.close)
            self._progress(Progress("recording", "booting the guest that is recorded"))
            guest.start()
            self._progress(Progress("recording", "running the scenario"))
            bay.await_sizes(guest.channel, bay.in_slots(), RECORDED_SIZES_LIMIT)
            self._guest = guest
            try:
                yield guest
            finally:
                self.end = guest.finish()
                self._guest = None

    def keep(self, guest: Any, folder: Path) -> None:
        """A scenario has failed: remember when. Always raises: no guest is kept."""
        _ = guest, folder
        self.mark(FAILURE, "the first finding")
        raise LabError("the recording has it")

    def mark(self, where: str, what: str) -> None:
        """Remember this instant of the guest, if there is one that lives."""
        if self._guest is None:
            return
        with contextlib.suppress(GuestLost, QmpError):
            self.marks.append(Mark(self._guest.icount(), where, what))

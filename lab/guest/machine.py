"""One QEMU process: launched, watched, asked over QMP, and ended.

LabError
 ├─ LaunchFailed       QEMU did not come up: command, exit status, output
 ├─ MachineStateError  the machine is not in a state in which this can be done
 ├─ GuestLost          the machine ended while something was expected of it
 └─ QmpError           (lab.guest.qmp)
"""

import asyncio
import contextlib
import functools
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lab.errors import LabError
from lab.guest.command import MachineSpec, Wiring, qemu_command
from lab.guest.loop import call, loop
from lab.guest.lost import GuestLost, HostFault
from lab.guest.qmp import Qmp, QmpError, QmpEvent
from lab.guest.states import (
    Ending,
    LaunchFailed,
    MachineState,
    MachineStateError,
    require,
)

__all__ = [
    "Ending",
    "GuestLost",
    "LaunchFailed",
    "Machine",
    "MachineState",
    "MachineStateError",
]

LAUNCH_LIMIT = 60.0
COMMAND_LIMIT = 60.0
KILL_LIMIT = 10.0
LAST_WORDS = 500
"""Characters of what QEMU said last that are worth telling after a crash."""
_CRASHES = (signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV)
"""What a program raises by mistakes of its own; nobody sends it from without."""


class Machine:
    """A QEMU process, as a context manager: launched on entry, gone after exit.

    `folder` gets console.log (the guest's serial console) and qemu.log (what QEMU itself says);
    `suffix` tells the files of several machines in one folder apart. `console_socket`: besides, the
    console can be talked to through the attribute of that name.
    """

    def __init__(
        self, spec: MachineSpec, folder: Path, suffix: str = "", *, console_socket: bool = False
    ) -> None:
        self.spec = spec
        self.folder = folder
        self.console_path = folder / f"console{suffix}.log"
        self.log_path = folder / f"qemu{suffix}.log"
        self.command_line: list[str] = []
        self.exit_status: int | None = None
        self.panic_info: Mapping[str, Any] | None = None
        self._state = MachineState.NEW
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = threading.Event()
        self._finishing: asyncio.Task[None] | None = None
        self._listeners: list[Callable[[QmpEvent], None]] = []
        self._qmp = Qmp("blksnap-lab", self._on_event)
        self.agent_socket: socket.socket | None = None
        self._wants_console = console_socket
        self.console_socket: socket.socket | None = None

    @property
    def state(self) -> MachineState:
        """Where the machine is in its life."""
        return self._state

    @property
    def pid(self) -> int | None:
        """Process number of QEMU, None before launch."""
        return self._process.pid if self._process else None

    def describe(self) -> str:
        """The state in words, with the exit status where there is one."""
        if self._state is MachineState.EXITED:
            return f"exited with status {self.exit_status}"
        return str(self._state)

    def loss(self, when: str = "") -> GuestLost:
        """What became of a guest whose QEMU has ended: a crash of QEMU is the host's fault."""
        if self.exit_status is None or -self.exit_status not in _CRASHES:
            return GuestLost(f"QEMU {self.describe()}{when}")
        words = self.log_path.read_text(errors="replace").strip()[-LAST_WORDS:]
        signal_name = signal.Signals(-self.exit_status).name
        return HostFault(f"QEMU crashed ({signal_name}){when}: {words or 'it said nothing'}")

    def __enter__(self) -> Self:
        self.launch()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @require(MachineState.NEW)
    def launch(self, *, restored: bool = False) -> None:
        """Start QEMU and greet its monitor; a `restored` machine then waits for saved state.

        LaunchFailed if QEMU does not come up; then nothing is left of it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as undo:
            with contextlib.ExitStack() as given:
                monitor, far = _pair(given)
                undo.callback(monitor.close)
                undo.callback(self.close)
                self.agent_socket, agent = _pair(given)
                wiring = Wiring(far.fileno(), agent.fileno(), self.console_path, restored)
                inherited = [far.fileno(), agent.fileno()]
                if self._wants_console:
                    self.console_socket, console = _pair(given)
                    wiring = replace(wiring, console_socket=console.fileno())
                    inherited.append(console.fileno())
                self.command_line = qemu_command(self.spec, wiring)
                call(functools.partial(self._spawn, inherited))
            try:
                self._qmp.connect(monitor, LAUNCH_LIMIT)
            except QmpError as error:
                self._explain_launch(error)
            undo.pop_all()
        if self._state is MachineState.NEW:
            self._state = MachineState.RUNNING

    def _spawn(self, inherited: list[int]) -> None:
        """Runs in the loop's thread (see lab.guest.loop), to its end even if we are interrupted."""
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(
                self.command_line,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=inherited,
                # A Ctrl-C at the terminal is for the lab, which then ends its guests in order.
                start_new_session=True,
            )
        watch = os.pidfd_open(self._process.pid)
        loop().add_reader(watch, self._on_exit, self._process, watch)

    def _explain_launch(self, error: QmpError) -> None:
        """Raise LaunchFailed with everything that QEMU said."""
        ended = self._ended.wait(1.0)
        status = self.exit_status if ended else None
        self.close()
        output = self.log_path.read_text(errors="replace")
        raise LaunchFailed(self.command_line, status, output) from error

    def _on_exit(self, process: "subprocess.Popen[bytes]", watch: int) -> None:
        loop().remove_reader(watch)
        os.close(watch)
        self._finishing = loop().create_task(self._finish(process.wait()))

    async def _finish(self, status: int) -> None:
        """QEMU has ended; what it said before, such as that the guest panicked, counts first."""
        await self._qmp.drain()
        self.exit_status = status
        self._state = MachineState.EXITED
        self._ended.set()
        self._qmp.events.close()
        self._tell(QmpEvent("LAB_EXITED", {"status": self.exit_status}))

    def _on_event(self, event: QmpEvent) -> None:
        if event.name == "GUEST_PANICKED" and self._state is MachineState.RUNNING:
            self._state = MachineState.PANICKED
            self.panic_info = event.data
        self._tell(event)

    def _tell(self, event: QmpEvent) -> None:
        for listener in list(self._listeners):
            listener(event)

    def listen(self, listener: Callable[[QmpEvent], None]) -> None:
        """Call a quick function with every event, also LAB_EXITED, from the loop's thread."""
        self._listeners.append(listener)

    def qmp(
        self,
        command: str,
        arguments: Mapping[str, object] | None = None,
        timeout: float = COMMAND_LIMIT,
    ) -> Any:
        """Run a QMP command. QmpError if refused; GuestLost if the machine has ended."""
        if self._state is MachineState.NEW:
            raise MachineStateError(f"{command} needs a machine that was launched")
        try:
            return self._qmp.execute(command, arguments, timeout=timeout)
        except QmpError as error:
            if self._ended.wait(0.2):
                raise self.loss(f" during {command}") from error
            raise

    def send_descriptor(self, name: str, descriptor: int) -> None:
        """Give QEMU a copy of an open descriptor, which its commands then call "fd:<name>"."""
        self._qmp.send_descriptor(name, descriptor, timeout=COMMAND_LIMIT)

    def wait_event(
        self,
        name: str,
        match: Callable[[Mapping[str, Any]], bool] = lambda _data: True,
        *,
        timeout: float,
    ) -> QmpEvent:
        """The oldest event of that name that fits; QmpError if none comes within the limit."""
        event = self._qmp.events.take(name, match, timeout)
        if event is None:
            raise QmpError(f"no event {name} from QEMU within {timeout:g} s ({self.describe()})")
        return event

    def wait_exit(self, timeout: float) -> bool:
        """Wait until QEMU has ended; False if it has not within `timeout` seconds."""
        return self._ended.wait(timeout)

    @require(MachineState.RUNNING, MachineState.PANICKED, MachineState.EXITED)
    def power_cut(self) -> None:
        """End the machine at once, as when the plug is pulled."""
        self._kill()

    @require(MachineState.RUNNING, MachineState.PANICKED, MachineState.EXITED)
    def shutdown(self, soft: float) -> Ending:
        """Press the power button, and kill after `soft` seconds; says which of them it was."""
        if self._ended.is_set():
            return Ending.ALREADY
        with contextlib.suppress(QmpError, GuestLost):
            self.qmp("system_powerdown")
            if self._ended.wait(soft):
                return Ending.SOFT
        self._kill()
        return Ending.HARD

    def close(self) -> None:
        """End QEMU if it lives and give back everything; the one place of cleanup."""
        call(lambda: None)  # a start that was interrupted has happened by now, or never will
        with contextlib.ExitStack() as stack:
            for ours in (self.agent_socket, self.console_socket):
                if ours is not None:
                    stack.callback(ours.close)
            stack.callback(self._qmp.close)
            self._kill()

    def _kill(self) -> None:
        if self._process is None or self._ended.is_set():
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGKILL)
        if not self._ended.wait(KILL_LIMIT):
            raise LabError(f"QEMU (process {self._process.pid}) cannot be killed")

    @require(MachineState.RUNNING)
    def ssh_port(self) -> int:
        """The port of 127.0.0.1 that leads to the guest's sshd; opened at the first call."""
        port = self.forwarded_port(22)
        if port is None:
            self.monitor_line("hostfwd_add net tcp:127.0.0.1:0-:22")
            port = self.forwarded_port(22)
        if port is None:
            raise QmpError("QEMU does not forward a port to the guest's sshd")
        return port

    def forwarded_port(self, guest: int) -> int | None:
        """The port of 127.0.0.1 that leads to a port of the guest, None if there is none."""
        table = self.monitor_line("info usernet")
        here = r"HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)"
        match = re.search(rf"{here}\s+\S+\s+{guest}\s", table)
        return int(match[1]) if match else None

    def monitor_line(self, line: str) -> str:
        """Run a command of QEMU's monitor for people; returns what it printed."""
        return str(self.qmp("human-monitor-command", {"command-line": line}))

    def console_text(self) -> str:
        """What the guest has written to its serial console so far."""
        try:
            return self.console_path.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def wait_console(self, text: str, timeout: float) -> None:
        """Wait until the console shows a text; GuestLost if QEMU ends, or it does not come."""
        limit = time.monotonic() + timeout
        while True:
            # In this order: what QEMU wrote before its end is there to be read after it.
            ended = self._ended.is_set()
            if text in self.console_text():
                return
            if ended:
                raise self.loss(f" before {text!r} was on the console")
            if time.monotonic() > limit:
                raise GuestLost(f"{text!r} was not on the console within {timeout:g} s")
            self._ended.wait(0.2)


def _pair(far: contextlib.ExitStack) -> tuple[socket.socket, socket.socket]:
    """Two sockets that are connected: ours, and QEMU's, which is closed with a stack."""
    ours, theirs = socket.socketpair()
    return ours, far.enter_context(theirs)

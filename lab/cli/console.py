"""`console`: a guest's serial console, with a shell on it."""

import os
import select
import sys

from lab.cli.groups import grouped
from lab.cli.options import GuestOptions, KernelOption
from lab.cli.subject import DiskOption, KeptOption, Subject, subject
from lab.cli.terminal import raw
from lab.image import DEFAULT_KERNEL

ESCAPE = b"\x1d"
TURN = 0.5
COMMAND_LIMIT = 180.0


@grouped
def console_command(
    guest: GuestOptions,
    kept: KeptOption = None,
    disk: DiskOption = None,
    kernel: KernelOption = DEFAULT_KERNEL,
) -> None:
    """Join this terminal to the serial console of a fresh or a kept guest, with a shell on it.

    Kernel messages come there, and SysRq works by `echo t >/proc/sysrq-trigger`. Ctrl-] ends it.
    """
    with subject(kept, disk, guest, kernel, console_socket=True) as it:
        print(f"{it.told()}; Ctrl-] ends", file=sys.stderr)
        if not it.panicked:
            with it.ssh() as ssh:
                shell = "setsid -c sh -i </dev/ttyS0 >/dev/ttyS0 2>&1 &"
                ssh.run(f"stty -F /dev/ttyS0 sane; {shell}", timeout=COMMAND_LIMIT)
        _join(it)


def _join(it: Subject) -> None:
    """Carry bytes between terminal and console until Ctrl-], the end of input, or of the guest."""
    console = it.machine.console_socket
    assert console is not None  # it was asked for
    stdin = sys.stdin.fileno()
    with raw(stdin):
        while not it.machine.wait_exit(0.0):
            ready, _, _ = select.select([console, stdin], [], [], TURN)
            if console in ready:
                data = console.recv(1 << 15)
                if not data:
                    return
                sys.stdout.buffer.write(data)
                sys.stdout.buffer.flush()
            if stdin in ready:
                typed = os.read(stdin, 1 << 10)
                if not typed or ESCAPE in typed:
                    return
                console.sendall(typed)

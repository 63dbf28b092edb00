"""A person's terminal on a guest: what is typed goes to a shell there, what it says comes here."""

import contextlib
import os
import select
import shutil
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from types import FrameType

import paramiko

from lab.errors import UsageError
from lab.guest.ssh import SshError

CHUNK = 1 << 14
SESSION_LIMIT = 30.0


def interact(client: paramiko.SSHClient) -> int:
    """Run a shell on this process's terminal until it ends; its exit status.

    UsageError if standard input is no terminal; SshError if the connection breaks.
    """
    if not sys.stdin.isatty():
        raise UsageError("a shell needs a terminal", "run it from one")
    try:
        size = shutil.get_terminal_size()
        channel = client.invoke_shell(
            os.environ.get("TERM", "linux"), width=size.columns, height=size.lines
        )
        with contextlib.closing(channel), _raw_terminal(channel):
            _relay(channel)
            return channel.recv_exit_status()
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise SshError(f"the shell's connection broke: {error}") from error


@contextlib.contextmanager
def _raw_terminal(channel: paramiko.Channel) -> Iterator[None]:
    """The terminal in raw mode, its changes of size passed on; afterwards as it was."""

    def resized(_signal: int, _frame: FrameType | None) -> None:
        size = shutil.get_terminal_size()
        channel.resize_pty(width=size.columns, height=size.lines)

    saved = termios.tcgetattr(sys.stdin)
    handler = signal.signal(signal.SIGWINCH, resized)
    try:
        tty.setraw(sys.stdin)
        yield
    finally:
        signal.signal(signal.SIGWINCH, handler)
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, saved)


def _relay(channel: paramiko.Channel) -> None:
    """Copy bytes both ways until the shell ends."""
    keyboard, screen = sys.stdin.fileno(), sys.stdout.fileno()
    channel.settimeout(SESSION_LIMIT)
    sources: list[int | paramiko.Channel] = [channel, keyboard]
    while True:
        readable, _, _ = select.select(sources, [], [])
        if channel in readable:
            said = channel.recv(CHUNK)
            if not said:
                return
            os.write(screen, said)
        if keyboard in readable:
            typed = os.read(keyboard, CHUNK)
            if typed:
                channel.sendall(typed)
            else:
                sources.remove(keyboard)

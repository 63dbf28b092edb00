"""An interactive terminal on a guest over an SSH connection."""

import contextlib
import os
import select
import shutil
import signal
import sys
import termios
import tty
from collections.abc import Iterator

import paramiko

CHUNK = 1 << 15
# How long one turn of the loop may block, so that the end of the channel is noticed, seconds.
TURN = 1.0


def interact(client: paramiko.SSHClient, command: str | None) -> int:
    """Join this terminal (or pipe) to a shell, or to a command; returns its exit status."""
    transport = client.get_transport()
    assert transport is not None, "only called on an open connection"
    with contextlib.closing(transport.open_session()) as channel:
        interactive = command is None and sys.stdin.isatty()
        if interactive:
            columns, lines = shutil.get_terminal_size()
            channel.get_pty(os.environ.get("TERM", "xterm"), columns, lines)
        if command is None:
            channel.invoke_shell()
        else:
            channel.set_combine_stderr(True)
            channel.exec_command(command)
        with _resizing(channel) if interactive else contextlib.nullcontext():
            _pump(channel)
        return channel.recv_exit_status()


@contextlib.contextmanager
def raw(descriptor: int) -> Iterator[None]:
    """A terminal hands over every key; nothing changes for a pipe or a file."""
    if not os.isatty(descriptor):
        yield
        return
    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _resizing(channel: paramiko.Channel) -> Iterator[None]:
    """The terminal hands over every key; its new sizes are told to the guest."""

    def resized(_signal: int, _frame: object) -> None:
        columns, lines = shutil.get_terminal_size()
        channel.resize_pty(columns, lines)

    handler = signal.signal(signal.SIGWINCH, resized)
    try:
        with raw(sys.stdin.fileno()):
            yield
    finally:
        signal.signal(signal.SIGWINCH, handler)


def _pump(channel: paramiko.Channel) -> None:
    """Carry bytes both ways until the guest's side ends."""
    stdin = sys.stdin.fileno()
    sources: list[paramiko.Channel | int] = [channel, stdin]
    while True:
        ready, _, _ = select.select(sources, [], [], TURN)
        if channel in ready:
            data = channel.recv(CHUNK)
            if not data:
                return
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        if stdin in ready:
            data = os.read(stdin, CHUNK)
            if data:
                channel.sendall(data)
            else:
                channel.shutdown_write()
                sources.remove(stdin)

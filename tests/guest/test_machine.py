"""Whatever a launch comes to, nothing of it is left open."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from lab.errors import EnvironmentLack, LabError
from lab.guest import machine
from lab.guest.command import Accel, MachineSpec
from lab.guest.loop import loop
from lab.guest.machine import LaunchFailed, Machine

SPEC = MachineSpec(Path("/k"), Path("/i"), Accel.TCG)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[socket.socket]:
    """All sockets that are made for machines."""
    found: list[socket.socket] = []
    pair = socket.socketpair

    def remember() -> tuple[socket.socket, socket.socket]:
        found.extend(ends := pair())
        return ends

    loop()  # has a pair of its own
    monkeypatch.setattr(socket, "socketpair", remember)
    return found


def still_open(made: list[socket.socket]) -> list[socket.socket]:
    return [one for one in made if one.fileno() != -1]


def test_nothing_is_left_where_there_is_no_qemu(
    made: list[socket.socket], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def lacks(*_: object) -> list[str]:
        raise EnvironmentLack("qemu is not installed", "install it")

    monkeypatch.setattr(machine, "qemu_command", lacks)
    with pytest.raises(EnvironmentLack):
        Machine(SPEC, tmp_path, console_socket=True).launch()
    assert len(made) == 6
    assert still_open(made) == []


def test_nothing_is_left_of_a_qemu_that_ends_at_once(
    made: list[socket.socket], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    command = ["sh", "-c", "echo no such device; exit 7"]
    monkeypatch.setattr(machine, "qemu_command", lambda *_: command)
    with pytest.raises(LaunchFailed, match="no such device") as caught:
        Machine(SPEC, tmp_path).launch()
    assert "7" in caught.value.what
    assert still_open(made) == []


def test_a_qemu_that_cannot_be_killed_holds_nothing_of_ours(
    made: list[socket.socket], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def cannot(_machine: Machine) -> None:
        raise LabError("QEMU cannot be killed")

    monkeypatch.setattr(machine, "qemu_command", lambda *_: ["sh", "-c", "exit 0"])
    monkeypatch.setattr(Machine, "_kill", cannot)
    with pytest.raises(LabError, match="cannot be killed"):
        Machine(SPEC, tmp_path).launch()
    assert still_open(made) == []

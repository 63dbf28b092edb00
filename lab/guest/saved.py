"""Saving the state of a machine to a file, and waiting until one is restored from it.

The memory of a template is in a file of its own (migration capability x-ignore-shared): only its
devices go through here, less than a MiB. A guest that is kept is saved whole.
"""

import time
from pathlib import Path

from lab.errors import LabError
from lab.guest.lost import GuestLost
from lab.guest.machine import Machine

SAVE_LIMIT = 120.0
UNLIMITED = 1 << 40
RESTORE_LIMIT = 90.0
SAVE_PAUSE = 0.02
RESTORE_PAUSE = 0.002


class SaveError(LabError):
    """QEMU could not save or restore the state of a machine."""


def save_devices(machine: Machine, path: Path) -> None:
    """Write the state of the devices to a new file; afterwards the machine is stopped for good."""
    _save(machine, path, devices_only=True)


def save_whole(machine: Machine, path: Path) -> None:
    """Write memory and devices of a stopped machine to a new file; it may go on afterwards."""
    machine.qmp("migrate-set-parameters", {"max-bandwidth": UNLIMITED})
    _save(machine, path, devices_only=False)


def _save(machine: Machine, path: Path, *, devices_only: bool) -> None:
    _ignore_memory(machine, devices_only)
    with path.open("xb") as file:
        machine.send_descriptor("state", file.fileno())
        machine.qmp("migrate", {"uri": "fd:state"})
        limit = time.monotonic() + SAVE_LIMIT
        while (told := machine.qmp("query-migrate"))["status"] != "completed":
            if told["status"] in ("failed", "cancelled") or time.monotonic() > limit:
                why = told.get("error-desc", told["status"])
                raise SaveError(f"QEMU did not save the state of the machine: {why}")
            time.sleep(SAVE_PAUSE)


def restore_devices(machine: Machine, path: Path, *, whole: bool = False) -> None:
    """Have a machine that was launched for it take over saved state; it is paused afterwards.

    `whole`: the state is of save_whole(), with the memory.
    """
    _ignore_memory(machine, not whole)
    with path.open("rb") as file:
        machine.send_descriptor("state", file.fileno())
    limit = time.monotonic() + RESTORE_LIMIT
    try:
        machine.qmp("migrate-incoming", {"uri": "fd:state"})
        while machine.qmp("query-status")["status"] == "inmigrate":
            if time.monotonic() > limit:
                raise SaveError("QEMU did not restore the state of the machine in time")
            time.sleep(RESTORE_PAUSE)
    except GuestLost as error:
        said = machine.log_path.read_text(errors="replace").strip()
        raise SaveError(f"QEMU cannot restore the state of the machine: {said}") from error


def _ignore_memory(machine: Machine, ignore: bool) -> None:
    capability = {"capability": "x-ignore-shared", "state": ignore}
    machine.qmp("migrate-set-capabilities", {"capabilities": [capability]})

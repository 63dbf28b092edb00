"""A backup tool in a guest, the way docs/backup-tools.md shows its author: examples/backup.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.pytest_plugin.guest import LabDisk, LabGuest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/backup.py"
TARGET = "/backup/a.img"


def backup(guest: LabGuest, disk: LabDisk) -> str:
    """Make a backup, or bring it up to date; what the tool prints."""
    command = f"PYTHONPATH=/opt/blksnap-lab python3 /root/backup.py {disk.path} {TARGET}"
    return guest.sh(f"{command} --storage /backup/a.diff --room {4 << 20}")


@pytest.mark.scenario(disks={"a": "16MiB", "b": "16MiB", "store": "64MiB"})
def test_a_full_backup_and_an_increment_are_restored(guest: LabGuest, disk: LabDisk) -> None:
    guest.copy(EXAMPLE, "/root/backup.py")
    guest.do("mkfs", device="store")
    guest.do("mount", device="store", at="/backup")
    disk.write(size="4MiB")
    assert backup(guest, disk) == f"{disk.size} bytes copied\n"
    disk.write(at="1MiB", size="64KiB")  # a block of the CBT map
    assert backup(guest, disk) == "65536 bytes copied\n"
    restored = guest.disk("b")
    guest.sh(
        f"dd if={TARGET} of={restored.path} bs=1M conv=fsync status=none"
        f" && cmp {disk.path} {restored.path}",
        changes=[restored],
    )
    guest.do("umount", at="/backup")
    # A tool leaves its tracker, for its next backup.
    guest.sh(f"python3 -m lab.blksnap tracker-remove {disk.path}")

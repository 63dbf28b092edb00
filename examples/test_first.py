"""Python tests against a guest; `pytest examples` runs them. The fixtures: docs/pytest.md."""

from __future__ import annotations

import pytest

from lab.pytest_plugin.guest import LabDisk, LabGuest, LabSnapshot


def test_an_image_keeps_what_was_there(disk: LabDisk, snapshot: LabSnapshot) -> None:
    disk.write(size="1MiB")
    snapshot.read(disk)  # every sector is what it was at the take
    assert set(disk.cbt()) == {0}  # the map was frozen then


@pytest.mark.scenario(disks={"a": "64MiB"}, module={"chunk_minimum_shift": 12})
def test_a_file_system_on_an_image(guest: LabGuest, disk: LabDisk) -> None:
    guest.do("mkfs", device=disk)
    guest.do("mount", device=disk, at="/mnt")
    guest.sh("echo before >/mnt/file; sync")
    snapshot = guest.snapshot(disk)
    guest.sh("echo after >/mnt/file; sync")
    guest.do("mount", device=disk, snapshot=snapshot, at="/image")
    assert guest.sh("cat /image/file") == "before\n"
    guest.do("umount", at="/image")
    guest.do("umount", at="/mnt")


@pytest.mark.scenario(disks={"a": "16MiB", "b": {"size": "16MiB", "logical_block_size": 4096}})
def test_a_backup_of_two_disks_with_the_steps_of_scenarios(guest: LabGuest) -> None:
    a, b = guest.disk("a"), guest.disk("b")
    a.write(random={"count": 20, "seed": 1})
    snapshot = guest.snapshot(a)
    a.write(random={"count": 20, "seed": 2})
    copied = guest.do("backup", device=a, to=b, snapshot=snapshot)["copied sectors"]
    assert copied == a.size // 512  # the first is a full one
    again = {"take": {"snapshot": snapshot}}
    guest.do("expect_error", errno="EALREADY", step=again)

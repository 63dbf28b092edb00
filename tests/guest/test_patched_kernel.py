"""A kernel with our patch series: filters in the block layer, blksnap from its own tree.

What filters answer is tested for all kernels alike, see test_filter_answers.py. Building the
kernels takes half an hour, so this is not part of the default run.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import UsageError
from lab.guest.disks import DiskSpec
from lab.guest.guest import Guest
from lab.guest.prepare import prepare
from lab.guest.settings import GuestSettings
from lab.image import Recipe, kernel_named
from lab.pytest_plugin.items import judge
from lab.pytest_plugin.session import Lab
from lab.units import MIB

BUILD = 3 * 3600
pytestmark = [pytest.mark.guest, pytest.mark.slow, pytest.mark.timeout(BUILD)]

KERNELS, BUILT_IN = ("6.1-patched", "6.12-patched"), "6.1-builtin"
SMOKE = (
    "lifecycle/worked-example",
    "lifecycle/two-filters",
    "cbt/whole-disk-and-partition",
    "overflow/exhausted",
)
LIMIT = 120.0
PATTERN = "yes LAB | dd bs=4096 count=1 iflag=fullblock oflag=direct conv=fsync status=none of="
IS_PATTERN = "head -c 3 "


def sh(guest: Guest, script: str) -> str:
    """What a shell script prints, which has to succeed."""
    with guest.ssh() as ssh:
        done = ssh.run(f"set -e\n{script}", timeout=LIMIT)
    assert done.status == 0, done.output
    return done.output.strip()


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", SMOKE)
def test_scenario(name: str, kernel: str, lab: Lab) -> None:
    template = lab.template(kernel=kernel)
    assert template.module is not None
    assert [file for file, _ in template.module.files()] == ["blksnap.ko"]
    result = lab.run(name, kernel=kernel)
    judge(result)


def test_built_in_it_works_without_a_module(tmp_path: Path) -> None:
    made = prepare(GuestSettings(module=None, recipe=Recipe(kernel_named(BUILT_IN))))
    disks = [DiskSpec("a", 64 * MIB), DiskSpec("b", 64 * MIB)]
    with made.clone(disks, tmp_path) as guest:
        a, b = (guest.disks[name].path.removeprefix("/dev/") for name in "ab")
        told = sh(
            guest,
            f"""cd /opt/blksnap-lab; test -d /sys/module/blksnap; ! grep -q blksnap /proc/modules
            {PATTERN}/dev/{a}
            id=$(python3 -m lab.blksnap snapshot-create /dev/{a})
            python3 -m lab.blksnap append-storage $id --device /dev/{b} --range 0:65536
            python3 -m lab.blksnap take $id
            dd if=/dev/zero bs=4096 count=1 oflag=direct status=none of=/dev/{a}
            {IS_PATTERN}/dev/blksnap-image0; echo
            python3 -m lab.blksnap snapshot-destroy $id""",
        )
        assert "LAB" in told.splitlines()
    made.release()


def test_a_kernel_with_the_module_built_in_runs_no_scenarios(lab: Lab) -> None:
    with pytest.raises(UsageError, match="built in"):
        lab.template(kernel=BUILT_IN)

"""A kernel with our patch series: filters in the block layer, blksnap from its own tree.

Building the kernels takes half an hour, so this is not part of the default run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.cli.options import SCENARIOS
from lab.errors import UsageError
from lab.guest.disks import DiskSpec
from lab.guest.guest import Guest
from lab.guest.prepare import prepare
from lab.guest.settings import GuestSettings
from lab.guest.template import Template
from lab.image import Recipe, kernel_named
from lab.pytest_plugin.items import judge
from lab.pytest_plugin.session import Lab
from lab.scenario.load import load_scenario
from lab.units import MIB

BUILD = 3 * 3600
pytestmark = [pytest.mark.guest, pytest.mark.slow, pytest.mark.timeout(BUILD)]

KERNELS, BUILT_IN = ("6.1-patched", "6.12-patched"), "6.1-builtin"
SOURCE = Path(__file__).with_name("filter")
SMOKE = (
    "lifecycle/worked-example",
    "lifecycle/two-filters",
    "cbt/whole-disk-and-partition",
    "overflow/exhausted",
)
LIMIT = 120.0
PATTERN = "yes LAB | dd bs=4096 count=1 iflag=fullblock oflag=direct conv=fsync status=none of="
IS_PATTERN = "head -c 3 "


@pytest.fixture(scope="module", params=KERNELS)
def kernel(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def template(kernel: str) -> Iterator[Template]:
    """The patched kernel with a filter that answers what it is told to."""
    made = prepare(GuestSettings(module=SOURCE, recipe=Recipe(kernel_named(kernel))))
    yield made
    made.release()


@pytest.fixture
def guest(template: Template, tmp_path: Path) -> Iterator[Guest]:
    disks = [DiskSpec("a", 64 * MIB), DiskSpec("b", 64 * MIB)]
    with template.clone(disks, tmp_path) as guest:
        yield guest


def sh(guest: Guest, script: str, status: int = 0) -> str:
    """What a shell script prints, which has to end with this status."""
    with guest.ssh() as ssh:
        done = ssh.run(f"set -e\n{script}", timeout=LIMIT)
    assert done.status == status, done.output
    return done.output.strip()


def attach(guest: Guest, device: str, answer: str, target: str = "") -> None:
    """Load the filter on a device."""
    script = (
        f"IFS=: read -r major minor < /sys/class/block/{device}/dev\n"
        f"insmod {guest.module_dir}/answers.ko answer={answer} major=$major minor=$minor"
    )
    if target:
        script = (
            f"IFS=: read -r x y < /sys/class/block/{target}/dev\n{script} to_major=$x to_minor=$y"
        )
    sh(guest, script)


def counters(guest: Guest) -> dict[str, int]:
    """What the filter saw."""
    names = ("calls", "nested", "late", "released", "seen_by_target", "detached")
    told = sh(guest, f"cd /sys/module/answers/parameters; cat {' '.join(names)}").split()
    return dict(zip(names, map(int, told), strict=True))


def names(guest: Guest) -> tuple[str, str]:
    """The disks, as in /sys/class/block."""
    return tuple(guest.disks[name].path.removeprefix("/dev/") for name in "ab")  # type: ignore[return-value]


def test_a_bio_that_is_passed_arrives_and_is_seen_once(guest: Guest) -> None:
    a, _ = names(guest)
    attach(guest, a, "pass")
    sh(guest, f"{PATTERN}/dev/{a}")
    assert sh(guest, f"{IS_PATTERN}/dev/{a}") == "LAB"
    assert counters(guest)["calls"] == 1


def test_repeat_asks_the_same_filter_again(guest: Guest) -> None:
    a, _ = names(guest)
    attach(guest, a, "repeat")
    sh(guest, f"{PATTERN}/dev/{a}")
    assert sh(guest, f"{IS_PATTERN}/dev/{a}") == "LAB"
    assert counters(guest)["calls"] == 3


def test_skip_leaves_the_bio_to_the_filter(guest: Guest) -> None:
    a, _ = names(guest)
    attach(guest, a, "skip")
    assert "No space left" in sh(guest, f"{PATTERN}/dev/{a} 2>&1", status=1)
    assert sh(guest, f"{IS_PATTERN}/dev/{a} | tr -d '\\0'") == ""
    assert counters(guest)["calls"] == 1
    sh(guest, f"rmmod answers; {PATTERN}/dev/{a}")
    assert sh(guest, f"{IS_PATTERN}/dev/{a}") == "LAB"


def test_redirect_goes_to_the_other_device_and_its_filters(guest: Guest) -> None:
    a, b = names(guest)
    attach(guest, a, "redirect", b)
    sh(guest, f"{PATTERN}/dev/{a}")
    assert sh(guest, f"{IS_PATTERN}/dev/{b}") == "LAB"
    assert sh(guest, f"{IS_PATTERN}/dev/{a} | tr -d '\\0'") == ""
    seen = counters(guest)
    assert (seen["calls"], seen["seen_by_target"]) == (1, 1)


def test_redirect_from_a_partition_to_the_end_of_a_smaller_one(guest: Guest) -> None:
    """The checks of the block layer are made for the device that the bio goes to."""
    a, b = names(guest)
    sh(guest, f"echo '2048,2048' | sfdisk -q /dev/{b}; udevadm settle 2>/dev/null || true")
    attach(guest, a, "redirect", f"{b}1")
    sh(guest, f"{PATTERN}/dev/{a}")
    assert sh(guest, f"{IS_PATTERN}/dev/{b}1") == "LAB"
    assert sh(guest, f"dd if=/dev/{b} skip=2048 count=1 status=none | head -c 3") == "LAB"
    assert sh(guest, f"{PATTERN}/dev/{a} seek=1024 2>&1 || echo refused").endswith("refused")


def test_inside_a_stacked_driver_a_filter_may_wait(guest: Guest) -> None:
    a, _ = names(guest)
    attach(guest, a, "hold")
    sh(
        guest,
        f"DM_DISABLE_UDEV=1 dmsetup create lin --table '0 65536 linear /dev/{a} 0';"
        f" {PATTERN}/dev/mapper/lin",
    )
    assert sh(guest, f"{IS_PATTERN}/dev/{a}") == "LAB"
    seen = counters(guest)
    assert seen["calls"] == seen["nested"] == 1, "it was shown the bio of the lower device only"


def test_after_a_detach_under_writes_the_filter_is_not_called_again(guest: Guest) -> None:
    a, _ = names(guest)
    attach(guest, a, "hold")
    sh(
        guest,
        f"for i in 1 2 3 4; do (for j in $(seq 30); do {PATTERN}/dev/{a} seek=$i; done) & done\n"
        "sleep 0.5; echo 1 > /sys/module/answers/parameters/detach; wait",
    )
    seen = counters(guest)
    assert seen["calls"] > 4
    assert (seen["late"], seen["released"], seen["detached"]) == (0, 1, 0)


@pytest.mark.parametrize("what", ["partition", "disk"])
def test_a_device_that_goes_is_detached(guest: Guest, what: str) -> None:
    a, _ = names(guest)
    if what == "partition":
        device, go = f"{a}1", f"partx -d --nr 1 /dev/{a}"
        sh(guest, f"echo '2048,' | sfdisk -q /dev/{a}")
    else:
        device, go = "nullb0", "modprobe -r null_blk"
        sh(guest, "modprobe null_blk nr_devices=1")
    attach(guest, device, "pass")
    sh(guest, f"{PATTERN}/dev/{device}; {go}")
    seen = counters(guest)
    assert (seen["calls"], seen["released"]) == (1, 1)
    assert re.search(r"blk-filter: filter taken off \d+:\d+, which is gone", sh(guest, "dmesg"))
    sh(guest, "echo 1 > /sys/module/answers/parameters/detach")
    assert counters(guest)["detached"] == -2, "ENOENT: it is off already"
    assert counters(guest)["released"] == 1
    sh(guest, "rmmod answers")


@pytest.mark.parametrize("name", SMOKE)
def test_scenario(name: str, kernel: str, lab: Lab) -> None:
    template = lab.template(kernel=kernel)
    assert template.module is not None
    assert [file for file, _ in template.module.files()] == ["blksnap.ko"]
    result = lab.run(load_scenario(SCENARIOS / f"{name}.yaml", SCENARIOS), kernel=kernel)
    judge(result)


def test_built_in_it_works_without_a_module(tmp_path: Path) -> None:
    made = prepare(GuestSettings(module=None, recipe=Recipe(kernel_named(BUILT_IN))))
    disks = [DiskSpec("a", 64 * MIB), DiskSpec("b", 64 * MIB)]
    with made.clone(disks, tmp_path) as guest:
        a, b = names(guest)
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

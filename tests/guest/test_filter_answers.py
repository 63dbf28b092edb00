"""What filters of block devices answer, and what becomes of the bio; when they and devices go.

The same for both providers of filters: bdevfilter.ko on the distribution's kernel, and the block
layer of kernels with our patch series, which take half an hour to build and are not part of the
default run.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.cli.options import MODULE
from lab.guest.disks import DiskSpec
from lab.guest.guest import Guest
from lab.guest.prepare import prepare
from lab.guest.settings import GuestSettings
from lab.guest.template import Template
from lab.image import Recipe, kernel_named
from lab.modbuild import source_files
from lab.pytest_plugin.session import GUESTS
from lab.runner.klog import LogLine, find_splats
from lab.units import MIB

BUILD = 3 * 3600
pytestmark = [pytest.mark.guest, pytest.mark.timeout(BUILD)]

KERNELS = (
    "6.1",
    pytest.param("6.1-patched", marks=pytest.mark.slow),
    pytest.param("6.12-patched", marks=pytest.mark.slow),
)
SOURCE = Path(__file__).with_name("filter")
HOOK = "bdevfilter"
OF_HOOK = ("Kbuild", "filter_", "blk-filter-", "compat", f"include/linux/{HOOK}.h")
"""What the names of the sources of bdevfilter.ko begin with."""
LIMIT = 120.0 * GUESTS
SHORTLY = "sleep 0.5"
"""In which something would happen that has to wait."""
GONE = "/run/gone"

PATTERN = "yes LAB | dd bs=4096 count=1 iflag=fullblock oflag=direct conv=fsync status=none of="
READ = "dd bs=4096 count=1 iflag=direct status=none if="
IS_PATTERN = "head -c 3 "
PARAMETERS = "/sys/module/answers/parameters"
DETACH = f"echo 1 > {PARAMETERS}/detach"
OPEN = f"echo 1 > {PARAMETERS}/open"
PENDING, ENOENT = 1, -2
NAMES = (
    *("calls", "reads", "empties", "nested", "deeper", "queued", "strayed", "ended", "kept"),
    *("returned", "inside", "left_inside", "released_inside", "late", "released"),
    *("seen_by_target", "target_empties", "detached"),
)


@pytest.fixture(scope="module", params=KERNELS)
def kernel(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def built_in(kernel: str) -> bool:
    """Whether the block layer itself has the filters."""
    return kernel_named(kernel).has_filters


def with_hook(folder: Path) -> Path:
    """The sources of bdevfilter.ko, and the filter beside it, by which that knows its symbols."""
    for path in source_files(MODULE):
        name = path.relative_to(MODULE).as_posix()
        if name.startswith(OF_HOOK):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / name)
    kbuild = folder / "Kbuild"
    text = kbuild.read_text(encoding="utf-8")
    kbuild.write_text(text.replace(" blksnap.o", " answers.o"), encoding="utf-8")
    shutil.copyfile(SOURCE / "answers.c", folder / "answers.c")
    return folder


@pytest.fixture(scope="module")
def template(kernel: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """A kernel with a filter that answers what it is told to."""
    chosen = kernel_named(kernel)
    source = SOURCE if chosen.has_filters else with_hook(tmp_path_factory.mktemp("hook"))
    made = prepare(GuestSettings(module=source, recipe=Recipe(chosen)))
    yield made
    made.release()


@pytest.fixture
def guest(template: Template, built_in: bool, tmp_path: Path) -> Iterator[Guest]:
    """A guest that can attach filters; in the end they go, and nothing was wrong with them."""
    disks = [DiskSpec("a", 64 * MIB), DiskSpec("b", 64 * MIB)]
    with template.clone(disks, tmp_path) as guest:
        if not built_in:
            sh(guest, f"insmod {guest.module_dir}/{HOOK}.ko")
        begin = guest.channel.request("klog_mark", {"text": "answers: begin"}, LIMIT)["seq"]
        yield guest
        for module in ("answers", HOOK):
            sh(guest, f"if grep -q '^{module} ' /proc/modules; then rmmod {module}; fi")
        assert find_splats(logged(guest, begin)) == []


def logged(guest: Guest, seq: int) -> Iterator[LogLine]:
    """The lines of the kernel log, from one on."""
    more = True
    while more:
        read = guest.channel.request("kmsg", {"since_seq": seq}, LIMIT)
        for record in read["records"]:
            yield from (LogLine(line) for line in str(record["text"]).split("\n"))
        seq, more = read["next_seq"], read["more"]


def sh(guest: Guest, script: str, status: int = 0) -> str:
    """What a shell script prints, which has to end with this status."""
    argv = ["sh", "-ec", f"exec 2>&1\n{script}"]
    done = guest.channel.request("exec", {"argv": argv, "timeout": LIMIT}, LIMIT)
    assert done["status"] == status, done
    return str(done["stdout"]).strip()


def start(guest: Guest, name: str, script: str) -> None:
    """Have the guest run a shell script in the background."""
    guest.channel.request("spawn", {"name": name, "argv": ["sh", "-ec", script]}, LIMIT)


def finish(guest: Guest, *names: str) -> None:
    """Wait for scripts in the background, which have to succeed."""
    for name in names:
        done = guest.channel.request("reap", {"name": name, "timeout": LIMIT}, LIMIT)
        assert done["status"] == 0, done


def attach(guest: Guest, device: str, answer: str, target: str = "", **more: object) -> None:
    """Load the filter on a device; more: its parameters."""
    words = " ".join(f"{name}={value}" for name, value in more.items())
    script = (
        f"IFS=: read -r major minor < /sys/class/block/{device}/dev\n"
        f"insmod {guest.module_dir}/answers.ko answer={answer} major=$major minor=$minor {words}"
    )
    if target:
        script = (
            f"IFS=: read -r x y < /sys/class/block/{target}/dev\n{script} to_major=$x to_minor=$y"
        )
    sh(guest, script)


def counters(guest: Guest) -> dict[str, int]:
    """What the filter saw."""
    told = sh(guest, f"cd {PARAMETERS}; cat {' '.join(NAMES)}").split()
    return dict(zip(NAMES, map(int, told), strict=True))


def wait_for(guest: Guest, **wanted: int) -> dict[str, int]:
    """What the filter had seen once these were so; before long they have to be.

    They are read one after another, so what came before is read again then.
    """
    end = time.monotonic() + LIMIT
    while not wanted.items() <= (seen := counters(guest)).items():
        assert time.monotonic() < end, (wanted, seen)
        time.sleep(0.1)
    return counters(guest)


def wait_for_calls(guest: Guest, least: int) -> None:
    """Until the filter has seen so many bios."""
    end = time.monotonic() + LIMIT
    while (seen := counters(guest))["calls"] < least:
        assert time.monotonic() < end, seen
        time.sleep(0.1)


def names(guest: Guest) -> tuple[str, str]:
    """The disks, as in /sys/class/block."""
    return tuple(guest.disks[name].path.removeprefix("/dev/") for name in "ab")  # type: ignore[return-value]


def make_linear(guest: Guest, below: str) -> str:
    """A stacked device; its path."""
    table = f"0 65536 linear /dev/{below} 0"
    sh(guest, "modprobe dm-mod 2>/dev/null || true")
    sh(guest, f"DM_DISABLE_UDEV=1 dmsetup create lin --table '{table}'")
    return "/dev/mapper/lin"


def assert_left(guest: Guest, detached: int) -> None:
    """It has been detached, with this result; nothing ran then, nor has since."""
    seen = wait_for(guest, detached=detached)
    assert (seen["released"], seen["inside"], seen["late"]) == (1, 0, 0)
    assert (seen["left_inside"], seen["released_inside"]) == (0, 0)


# ---- Answers ----


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
    seen = counters(guest)
    assert (seen["calls"], seen["deeper"]) == (3, 0)


def test_skip_leaves_the_bio_to_the_filter(guest: Guest) -> None:
    a, _ = names(guest)
    attach(guest, a, "skip")
    assert "No space left" in sh(guest, f"{PATTERN}/dev/{a}", status=1)
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
    assert (seen["calls"], seen["seen_by_target"], seen["deeper"]) == (1, 1, 0)


def test_redirect_from_a_partition_to_the_end_of_a_smaller_one(guest: Guest) -> None:
    """The checks of the block layer are made for the device that the bio goes to."""
    a, b = names(guest)
    sh(guest, f"echo '2048,2048' | sfdisk -q /dev/{b}")
    attach(guest, a, "redirect", f"{b}1")
    sh(guest, f"{PATTERN}/dev/{a}")
    assert sh(guest, f"{IS_PATTERN}/dev/{b}1") == "LAB"
    assert sh(guest, f"dd if=/dev/{b} skip=2048 count=1 status=none | head -c 3") == "LAB"
    assert sh(guest, f"{PATTERN}/dev/{a} seek=1024 || echo refused").endswith("refused")


def test_what_is_kept_arrives_when_it_is_submitted_again(guest: Guest) -> None:
    a, _ = names(guest)
    attach(guest, a, "keep")
    sh(guest, f"{PATTERN}/dev/{a}")
    assert sh(guest, f"{IS_PATTERN}/dev/{a}") == "LAB"
    seen = counters(guest)
    assert (seen["calls"], seen["kept"], seen["returned"]) == (2, 1, 1)


def test_what_is_kept_may_come_back_when_the_filter_has_gone(guest: Guest) -> None:
    a, _ = names(guest)
    attach(guest, a, "keep", keep_ms=3_600_000)
    start(guest, "writer", f"{PATTERN}/dev/{a}")
    wait_for(guest, kept=1)
    sh(guest, DETACH)
    assert_left(guest, detached=0)
    sh(guest, "rmmod answers")
    finish(guest, "writer")
    assert sh(guest, f"{IS_PATTERN}/dev/{a}") == "LAB"


# ---- Filters that want everything ----


def test_who_wants_everything_sees_reads_and_flushes_too(guest: Guest) -> None:
    a, _ = names(guest)
    attach(guest, a, "pass", everything=1)
    sh(guest, f"{PATTERN}/dev/{a}")
    assert sh(guest, f"{READ}/dev/{a} | {IS_PATTERN}") == "LAB"
    seen = counters(guest)
    assert (seen["calls"], seen["empties"], seen["reads"]) == (3, 1, 1)


def test_a_flush_is_for_its_device_and_not_for_the_disk(guest: Guest) -> None:
    a, _ = names(guest)
    sh(guest, f"echo '2048,' | sfdisk -q /dev/{a}; sync")
    attach(guest, a, "pass", f"{a}1", everything=1)
    before = counters(guest)
    sh(guest, f"sync /dev/{a}1")
    seen = counters(guest)
    assert seen["target_empties"] - before["target_empties"] == 1
    assert seen["empties"] == before["empties"]
    sh(guest, f"sync /dev/{a}; sync /dev/{a}")
    now = counters(guest)
    assert now["empties"] - seen["empties"] == 2
    assert now["target_empties"] == seen["target_empties"]


def test_reads_and_flushes_may_be_skipped_kept_and_redirected(guest: Guest) -> None:
    a, b = names(guest)
    sh(guest, f"{PATTERN}/dev/{b}")
    attach(guest, a, "redirect", b, everything=1)
    assert sh(guest, f"{READ}/dev/{a} | {IS_PATTERN}") == "LAB"
    sh(guest, f"sync /dev/{a}")
    seen = counters(guest)
    assert (seen["reads"], seen["empties"], seen["target_empties"]) == (1, 1, 1)

    sh(guest, "rmmod answers")
    attach(guest, b, "keep", everything=1)
    assert sh(guest, f"{READ}/dev/{b} | {IS_PATTERN}") == "LAB"
    sh(guest, f"sync /dev/{b}")
    seen = counters(guest)
    assert (seen["kept"], seen["returned"], seen["calls"]) == (2, 2, 4)

    sh(guest, "rmmod answers")
    attach(guest, b, "skip", everything=1)
    assert "No space left" in sh(guest, f"{READ}/dev/{b} | cat; sync /dev/{b} || true")
    seen = counters(guest)
    assert (seen["reads"], seen["empties"]) == (1, 1)


# ---- Inside of a stacked driver ----


def test_inside_a_stacked_driver_a_filter_may_wait(guest: Guest) -> None:
    a, _ = names(guest)
    attach(guest, a, "hold")
    sh(guest, f"{PATTERN}{make_linear(guest, a)}")
    assert sh(guest, f"{IS_PATTERN}/dev/{a}") == "LAB"
    seen = counters(guest)
    assert seen["calls"] == seen["nested"] == 1, "it was shown the bio of the lower device only"


def test_inside_a_stacked_driver_what_a_filter_submits_is_gathered(guest: Guest) -> None:
    a, _ = names(guest)
    attach(guest, a, "more")
    sh(guest, f"{PATTERN}{make_linear(guest, a)}")
    assert sh(guest, f"{IS_PATTERN}/dev/{a}") == "LAB"
    seen = wait_for(guest, ended=1)
    assert (seen["calls"], seen["nested"]) == (1, 1)
    assert (seen["queued"], seen["strayed"]) == (1, 0)


def test_outside_of_one_it_is_submitted_at_once(guest: Guest) -> None:
    a, _ = names(guest)
    attach(guest, a, "more")
    sh(guest, f"{PATTERN}/dev/{a}")
    assert sh(guest, f"{IS_PATTERN}/dev/{a}") == "LAB"
    seen = wait_for(guest, ended=1)
    assert (seen["calls"], seen["nested"]) == (1, 0)
    assert (seen["queued"], seen["strayed"]) == (0, 0)


# ---- Detaching ----


def test_after_a_detach_under_writes_the_filter_is_not_called_again(guest: Guest) -> None:
    a, _ = names(guest)
    attach(guest, a, "hold")
    writers = [f"writer{seek}" for seek in range(4)]
    for seek, writer in enumerate(writers):
        script = f"while ! test -e {GONE}; do {PATTERN}/dev/{a} seek={seek}; done"
        start(guest, writer, script)
    wait_for_calls(guest, 5)
    sh(guest, f"{DETACH}; {SHORTLY}; touch {GONE}")
    finish(guest, *writers)
    assert_left(guest, detached=0)


def test_a_detach_waits_for_the_bio_that_is_in_the_callback(guest: Guest) -> None:
    a, _ = names(guest)
    attach(guest, a, "wait")
    start(guest, "writer", f"{PATTERN}/dev/{a}")
    wait_for(guest, inside=1)
    sh(guest, f"{DETACH}; {SHORTLY}")
    seen = counters(guest)
    assert (seen["inside"], seen["detached"], seen["released"]) == (1, PENDING, 0)
    sh(guest, OPEN)
    finish(guest, "writer")
    assert_left(guest, detached=0)
    assert sh(guest, f"{IS_PATTERN}/dev/{a}") == "LAB"


# ---- Devices that go ----


@dataclass(frozen=True)
class Going:
    """A device to put a filter on. write: to it, even while it goes. go: has it go."""

    device: str
    write: str
    go: str


def going(guest: Guest, what: str) -> Going:
    """A partition, or a disk that may go while it is open."""
    a, _ = names(guest)
    if what == "partition":
        # One that is open is not deleted, so it is written to by way of the disk.
        sh(guest, f"echo '2048,' | sfdisk -q /dev/{a}")
        return Going(f"{a}1", f"{PATTERN}/dev/{a} seek=256", f"partx -d --nr 1 /dev/{a}")
    sh(guest, "modprobe sd_mod; modprobe scsi_debug dev_size_mb=8")
    place = "/sys/bus/pseudo/drivers/scsi_debug/adapter0/host*/target*/*/block"
    find = f"device=$(ls {place} 2>/dev/null) && test -b /dev/$device"
    sh(guest, f"for i in $(seq 100); do if {find}; then break; fi; sleep 0.1; done\n{find}")
    disk = sh(guest, f"ls {place}")
    # What is held until then is refused by a disk that is no more.
    write = f"{PATTERN}/dev/{disk} || true"
    return Going(disk, write, f"echo 1 > /sys/block/{disk}/device/delete")


def is_gone(guest: Guest) -> bool:
    """Whether the removal in the background has come to its end."""
    return sh(guest, f"if test -e {GONE}; then echo gone; fi") == "gone"


def taken_off(guest: Guest) -> int:
    """How many filters a block layer has taken off devices that went."""
    said = "blk-filter: filter taken off [0-9]*:[0-9]*, which is gone"
    return int(sh(guest, f"dmesg | grep -c '{said}' || true"))


def wait_until_it_goes(guest: Guest, built_in: bool) -> None:
    """Built in, the filter is taken off, which waits for it; otherwise nothing waits for it."""
    end = time.monotonic() + LIMIT
    while not (taken_off(guest) if built_in else is_gone(guest)):
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.parametrize("what", ["partition", "disk"])
def test_a_device_that_goes_is_detached(guest: Guest, built_in: bool, what: str) -> None:
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
    assert (seen["calls"], seen["released"]) == (1, int(built_in))
    assert taken_off(guest) == int(built_in)
    sh(guest, DETACH)
    assert_left(guest, detached=ENOENT if built_in else 0)


def held(guest: Guest, what: str) -> Going:
    """A device that is about to go, while its filter holds a bio of the writer."""
    on = going(guest, what)
    attach(guest, on.device, "wait")
    start(guest, "writer", on.write)
    wait_for(guest, inside=1)
    return on


@pytest.mark.parametrize("what", ["partition", "disk"])
def test_a_device_goes_while_its_filter_holds_a_bio(
    guest: Guest, built_in: bool, what: str
) -> None:
    on = held(guest, what)
    start(guest, "removal", f"{on.go}; touch {GONE}")
    wait_until_it_goes(guest, built_in)
    sh(guest, SHORTLY)
    assert is_gone(guest) != built_in
    seen = counters(guest)
    assert (seen["inside"], seen["released"]) == (1, 0)
    sh(guest, OPEN)
    finish(guest, "writer", "removal")
    assert counters(guest)["released"] == int(built_in)
    if what == "partition":
        sh(guest, on.write)
    assert counters(guest)["calls"] == 1, "what is written there is no business of the filter's now"
    sh(guest, DETACH)
    assert_left(guest, detached=ENOENT if built_in else 0)


@pytest.mark.parametrize("what", ["partition", "disk"])
def test_who_detaches_a_filter_that_is_being_taken_off_waits_for_that(
    guest: Guest, built_in: bool, what: str
) -> None:
    on = held(guest, what)
    start(guest, "removal", f"{on.go}; touch {GONE}")
    wait_until_it_goes(guest, built_in)
    sh(guest, f"{DETACH}; {SHORTLY}")
    seen = counters(guest)
    assert (seen["inside"], seen["detached"], seen["released"]) == (1, PENDING, 0)
    sh(guest, OPEN)
    finish(guest, "writer", "removal")
    assert_left(guest, detached=ENOENT if built_in else 0)


@pytest.mark.parametrize("what", ["partition", "disk"])
def test_a_device_goes_while_its_filter_is_being_detached(
    guest: Guest, built_in: bool, what: str
) -> None:
    on = held(guest, what)
    sh(guest, f"{DETACH}; {SHORTLY}")
    start(guest, "removal", f"{on.go}; touch {GONE}")
    sh(guest, SHORTLY)
    if built_in:
        assert not is_gone(guest), "the callback may still look at the device"
    seen = counters(guest)
    assert (seen["inside"], seen["detached"], seen["released"]) == (1, PENDING, 0)
    sh(guest, OPEN)
    finish(guest, "writer", "removal")
    assert_left(guest, detached=0)
    assert taken_off(guest) == 0

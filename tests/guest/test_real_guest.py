"""Real guests: clones, what can be done to them, and how they end. Needs QEMU; no module."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab.accel import AccelChoice, decide, probe
from lab.bench.clone import measure_clones
from lab.cache import Cache
from lab.guest.channel import AgentFailure, ChannelTimeout
from lab.guest.command import Accel
from lab.guest.disks import DiskSpec
from lab.guest.guest import Guest
from lab.guest.identity import StaleTemplate
from lab.guest.lost import GuestLost, HostFault
from lab.guest.machine import Ending, LaunchFailed, Machine, MachineState, MachineStateError
from lab.guest.prepare import prepare
from lab.guest.settings import GuestSettings
from lab.guest.template import Template
from lab.modbuild import ModuleBuildFailed, build_module
from lab.units import GIB, MIB, TIB

pytestmark = [pytest.mark.guest, pytest.mark.timeout(3600)]

LIMIT = 120.0


SETTINGS = GuestSettings(module=None, memory=640 * MIB)
# Of a size that nobody else uses: other tests may run beside the one that damages its template, and
# a guest that boots would find another disk below its own.
DAMAGED = replace(SETTINGS, memory=644 * MIB)


@pytest.fixture(scope="module")
def template() -> Template:
    return prepare(SETTINGS)


@pytest.fixture
def guest(template: Template, tmp_path: Path) -> Iterator[Guest]:
    disks = [DiskSpec("a", 64 * MIB), DiskSpec("b", 32 * MIB)]
    with template.clone(disks, tmp_path / "clone") as guest:
        yield guest


def shell(guest: Guest, command: str) -> str:
    argv = ["sh", "-c", command]
    done = guest.channel.request("exec", {"argv": argv, "timeout": LIMIT}, LIMIT)
    assert done["status"] == 0, done
    return str(done["stdout"])


def test_a_clone_has_the_disks_that_were_declared(template: Template, tmp_path: Path) -> None:
    disks = [
        DiskSpec("a", 64 * MIB),
        DiskSpec("big", 64 * TIB),
        DiskSpec("e", 8 * MIB, 512, 4096),
        DiskSpec("k", 3 * GIB, 4096, 4096),
    ]
    with template.clone(disks, tmp_path) as guest:
        for spec in disks:
            path = guest.disks[spec.name].path
            block = path.removeprefix("/dev/")
            assert shell(guest, f"blockdev --getsize64 --getss --getpbsz {path}").split() == [
                str(spec.size),
                str(spec.logical_block_size),
                str(spec.physical_block_size),
            ]
            assert shell(guest, f"cat /sys/block/{block}/serial").strip() == spec.name
        assert "1" not in shell(guest, "od -An -tx1 -N65536 /dev/vdb | tr -d '\\n *0'")
    assert not list(tmp_path.glob("*.raw")) + list(tmp_path.glob("*.qcow2"))


def test_a_clone_has_the_right_time_and_its_own_random_state(
    template: Template, tmp_path: Path
) -> None:
    seen = []
    for number in range(2):
        before = time.time()
        with template.clone([], tmp_path / str(number)) as guest:
            seen.append(shell(guest, "od -An -tx8 -N32 /dev/urandom"))
            clock = float(shell(guest, "date +%s.%N"))
            assert before - 0.1 < clock < time.time() + 0.1
    assert seen[0] != seen[1]


def test_clones_do_not_see_each_other(template: Template, tmp_path: Path) -> None:
    with template.clone([DiskSpec("a", MIB)], tmp_path / "one") as one:
        shell(one, "echo mine >/root/file; echo mine >/dev/shm/file; sync; echo 1 >/dev/vdb")
        with template.clone([DiskSpec("a", MIB)], tmp_path / "two") as two:
            assert shell(two, "ls /root /dev/shm; head -c 1 /dev/vdb | od -An -tx1").split() == [
                "/dev/shm:",
                "/root:",
                "00",
            ]


def test_a_discard_zeroes_exactly_its_range(guest: Guest) -> None:
    path = guest.disks["a"].path
    shell(guest, f"tr '\\0' x </dev/zero | dd of={path} bs=1M count=1 oflag=direct iflag=fullblock")
    shell(guest, f"blkdiscard -o 1536 -l 3584 {path}")
    text = shell(
        guest, f"dd if={path} iflag=direct bs=1M count=1 | tr '\\0' 0 | fold -w 512 | uniq -c"
    )
    assert [(int(n), row[0]) for n, row in map(str.split, text.splitlines())] == [
        (3, "x"),
        (7, "0"),
        (2038, "x"),
    ]


def test_a_disk_is_resized_under_the_guest(guest: Guest) -> None:
    assert guest.resize_disk("a", 96 * MIB).size == 96 * MIB
    assert shell(guest, "blockdev --getsize64 /dev/vdb").strip() == str(96 * MIB)


def test_a_disk_is_unplugged_and_comes_back_with_what_it_held(guest: Guest) -> None:
    shell(guest, "echo kept >/dev/vdb; sync")
    guest.unplug("a")
    assert "vdb" not in shell(guest, "ls /dev")
    path = guest.plug("a").path
    assert shell(guest, f"head -n 1 {path}").strip() == "kept"
    new = guest.plug(DiskSpec("new", 16 * MIB, discard=False))
    assert shell(guest, f"blockdev --getsize64 {new.path}").strip() == str(16 * MIB)


def test_errors_of_the_agent_keep_errno(guest: Guest) -> None:
    with pytest.raises(AgentFailure) as caught:
        guest.channel.request("read_file", {"path": "/no/such", "limit": 10}, LIMIT)
    assert caught.value.errno == errno.ENOENT


def test_ssh_into_a_clone(guest: Guest, tmp_path: Path) -> None:
    (tmp_path / "tree/sub").mkdir(parents=True)
    (tmp_path / "tree/sub/file").write_text("text")
    with guest.ssh() as ssh:
        ssh.put_tree(tmp_path / "tree", "/root/tree")
        ssh.put(tmp_path / "tree/sub/file", "/root/other/file")
        done = ssh.run("cat /root/tree/sub/file /root/other/file; exit 3", timeout=LIMIT)
        ssh.get("/root/tree/sub/file", tmp_path / "back")
    assert (done.status, done.output) == (3, "texttext")
    assert (tmp_path / "back").read_text() == "text"


def test_after_a_power_cut_it_boots_with_what_its_disks_held(guest: Guest) -> None:
    # The root has no journal, so a sync may write the directory after its last flush, and QEMU may
    # lose where that lies. (By reading: the file was gone twice, on busy machines.) A second one
    # flushes that.
    shell(guest, "echo kept >/dev/vdb && echo kept | dd of=/root/file conv=fsync")
    shell(guest, "sync && sync")
    shell(guest, "sysctl -q vm.swappiness=1")
    guest.power_cut()
    with pytest.raises(GuestLost):
        shell(guest, "true")
    guest.boot()
    assert guest.machine.state is MachineState.RUNNING
    how = " ".join(guest.machine.command_line)
    assert "thread=single" in how or "-accel kvm" in how, "QEMU 10.0 may abort otherwise"
    assert shell(guest, "head -n 1 /dev/vdb; cat /root/file").split() == ["kept", "kept"]
    assert shell(guest, "cat /proc/sys/vm/swappiness").strip() != "1"
    assert guest.reboot(within=LIMIT) is Ending.SOFT
    assert shell(guest, "cat /root/file").strip() == "kept"


def test_after_a_power_cut_it_is_the_saved_guest_with_its_disks(guest: Guest) -> None:
    shell(guest, "echo kept >/dev/vdb; echo lost >/root/file; sync; sysctl -q vm.swappiness=1")
    guest.power_cut()
    guest.boot_saved()
    assert guest.machine.state is MachineState.RUNNING
    assert shell(guest, "head -n 1 /dev/vdb").split() == ["kept"]
    assert shell(guest, "cat /proc/sys/vm/swappiness").strip() != "1"
    assert "file" not in shell(guest, "ls /root").split()
    guest.power_cut()
    guest.boot()
    guest.power_cut()
    guest.boot_saved()
    assert shell(guest, "head -n 1 /dev/vdb").split() == ["kept"], "also after a real boot"


def test_what_does_not_end_softly_is_killed(guest: Guest) -> None:
    shell(guest, "killall acpid || pkill acpid || kill $(pidof busybox)")
    assert guest.machine.shutdown(soft=1.0) is Ending.HARD
    assert guest.machine.shutdown(soft=1.0) is Ending.ALREADY
    assert guest.machine.exit_status == -signal.SIGKILL


def test_a_panic_is_told_with_its_trace(guest: Guest) -> None:
    with pytest.raises(GuestLost, match="panicked"):
        shell(guest, "echo c >/proc/sysrq-trigger")
    assert guest.machine.panic_info is not None
    assert guest.machine.wait_exit(LIMIT)
    assert "Kernel panic - not syncing: sysrq triggered crash" in guest.machine.console_text()
    assert "Call Trace:" in guest.machine.console_text()


def test_a_guest_killed_from_outside_is_lost(guest: Guest) -> None:
    assert guest.machine.pid is not None
    os.kill(guest.machine.pid, signal.SIGKILL)
    with pytest.raises(GuestLost, match="status -9"):
        shell(guest, "sleep 10")
    with pytest.raises(MachineStateError, match="exited with status -9"):
        guest.machine.ssh_port()


def test_a_crash_of_qemu_is_the_hosts_fault(guest: Guest) -> None:
    assert guest.machine.pid is not None
    os.kill(guest.machine.pid, signal.SIGABRT)
    with pytest.raises(HostFault, match=r"QEMU crashed \(SIGABRT\): \w"):
        shell(guest, "sleep 10")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
def test_a_full_disk_of_the_host_is_told_apart(template: Template, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8M", "tmpfs", str(small)], check=True)
    try:
        with (
            template.clone([DiskSpec("a", 64 * MIB)], small) as guest,
            pytest.raises(HostFault, match="the host's disk is full"),
        ):
            shell(guest, "dd if=/dev/urandom of=/dev/vdb bs=1M count=32 oflag=direct")
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_guest_whose_agent_ends_is_lost(guest: Guest) -> None:
    with pytest.raises(GuestLost, match="agent ended"):
        shell(guest, "pkill -f lab.agent; sleep 10")


def test_a_guest_that_stops_answering_is_a_timeout(guest: Guest) -> None:
    guest.machine.qmp("stop")
    with pytest.raises(ChannelTimeout):
        guest.channel.request("hello", {"nonce": "x"}, 1.0)
    guest.machine.qmp("cont")
    assert shell(guest, "echo back").strip() == "back"


def test_qemu_dies_with_a_lab_that_is_killed(template: Template, tmp_path: Path) -> None:
    program = f"""
import time, pathlib, lab.guest.prepare as p, lab.guest.settings as s
template = p.prepare(s.GuestSettings(module=None, memory={SETTINGS.memory}))
with template.clone([], pathlib.Path({str(tmp_path)!r})) as guest:
    print(guest.machine.pid, flush=True)
    time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as lab:
        assert lab.stdout is not None
        pid = int(lab.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        lab.kill()
    limit = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < limit:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()


def test_ctrl_c_leaves_nothing(template: Template, tmp_path: Path) -> None:
    with (
        contextlib.suppress(KeyboardInterrupt),
        template.clone([DiskSpec("a", MIB)], tmp_path) as guest,
    ):
        pid = guest.machine.pid
        raise KeyboardInterrupt
    assert not Path(f"/proc/{pid}").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["console.log", "qemu.log"]


def test_a_launch_failure_carries_command_status_and_output(
    template: Template, tmp_path: Path
) -> None:
    spec = replace(template.spec, kernel=tmp_path / "missing", ram_file=None)
    with pytest.raises(LaunchFailed) as caught, Machine(spec, tmp_path):
        pass
    assert caught.value.status == 1
    assert "could not open kernel file" in caught.value.output
    assert str(tmp_path / "missing") in caught.value.command


def test_a_template_of_another_qemu_is_refused(template: Template, tmp_path: Path) -> None:
    stale = replace(template, identity=replace(template.identity, qemu="QEMU 1.0"))
    with pytest.raises(StaleTemplate), stale.clone([], tmp_path):
        pass


def test_a_damaged_template_is_made_anew() -> None:
    template = prepare(DAMAGED)
    with (template.folder / "state").open("r+b") as state:
        state.write(b"damaged!")
    told: list[str] = []
    again = prepare(DAMAGED, lambda progress: told.append(progress.detail))
    assert again.identity == template.identity
    assert any("state is not what was built" in line for line in told)


def test_clones_are_fast(template: Template) -> None:
    # The figure itself is in docs/measured.md: a test machine may be busy with anything.
    times = measure_clones(template, 3)
    assert len(times.first_answer) == 3
    assert all(0 < first <= ready for first, ready in zip(*vars(times).values(), strict=True))


def test_the_probe_tells_what_works_from_what_does_not(template: Template, tmp_path: Path) -> None:
    assert probe(template.image, tmp_path / "tcg", Accel.TCG, LIMIT) is None
    broken = replace(template.image, folder=tmp_path)
    (tmp_path / "vmlinuz").write_bytes(b"no kernel")
    (tmp_path / "busybox").write_bytes(b"")
    assert probe(broken, tmp_path / "broken", Accel.TCG) is not None
    assert decide(AccelChoice.AUTO, template.image, Cache()).accel.value == template.identity.accel


HELLO = """#include <linux/module.h>
static int __init hello(void) { int unused; return %s; }
static void __exit bye(void) { }
module_init(hello);
module_exit(bye);
MODULE_LICENSE("GPL");
"""


def test_a_module_is_built_in_a_guest_and_a_broken_one_is_not_kept(
    template: Template, tmp_path: Path
) -> None:
    cache = Cache(tmp_path / "cache")
    source = tmp_path / "source"
    source.mkdir()
    (source / "Makefile").write_text("obj-m := hello.o\n")
    accel = Accel(template.identity.accel)
    (source / "hello.c").write_text(HELLO % "nonsense")
    with pytest.raises(ModuleBuildFailed, match=r"hello\.c.*nonsense.*undeclared"):
        build_module(source, template.image, keys=template.keys, accel=accel, cache=cache)
    assert not (cache.root / "modules").exists()
    (source / "hello.c").write_text(HELLO % "0")
    built = build_module(source, template.image, keys=template.keys, accel=accel, cache=cache)
    assert built.facts.modules == ("hello.ko",)
    assert any("unused variable" in line for line in built.facts.warnings)
    assert (built.load_folder / "hello.ko").read_bytes()[:4] == b"\x7fELF"
    assert (
        build_module(source, template.image, keys=template.keys, accel=accel, cache=cache) == built
    )

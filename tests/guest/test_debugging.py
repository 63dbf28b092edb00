"""Guests that are kept and opened again, and what looks into them: gdb, console, dump."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.cache import Cache
from lab.guest import sections
from lab.guest.disks import DiskSpec
from lab.guest.guest import Guest
from lab.guest.inspect import dump_memory
from lab.guest.kept import FACTS, Kept, NotKept, find_kept, open_kept
from lab.guest.lost import GuestLost
from lab.guest.template import Template
from lab.image import machine_keys
from lab.pytest_plugin.session import GUESTS, Lab
from lab.units import MIB

pytestmark = [pytest.mark.guest, pytest.mark.timeout(3600)]

CHECKOUT = Path(__file__).resolve().parents[2]
LIMIT = 120.0 * GUESTS


@pytest.fixture
def module_template(lab: Lab) -> Template:
    return lab.template()


def shell(guest: Guest, command: str) -> str:
    argv = ["sh", "-c", command]
    done = guest.channel.request("exec", {"argv": argv, "timeout": LIMIT}, LIMIT)
    assert done["status"] == 0, done
    return str(done["stdout"])


def test_a_kept_guest_goes_on_from_where_it_was_as_often_as_it_is_opened(
    module_template: Template, tmp_path: Path
) -> None:
    disks = [DiskSpec("a", 64 * MIB), DiskSpec("k", 8 * MIB, 2048, 4096)]  # one slot, one plugged
    with module_template.clone(disks, tmp_path / "clone", keepable=True) as guest:
        a, k = guest.disks["a"].path, guest.disks["k"].path
        shell(guest, f"echo mem >/run/witness; echo disk >/etc/witness; echo A >{a}; echo K >{k}")
        shell(guest, f"blockdev --flushbufs {a} {k}; sleep 1000 >/dev/null 2>&1 &")
        module_template.keep(guest, tmp_path / "kept")
        assert shell(guest, "cat /run/witness") == "mem\n", "it has to go on"
        shell(guest, f"echo later >{a}; sync")
    keys = machine_keys(Cache())
    for turn in range(2):
        scratch = tmp_path / f"open{turn}"
        with open_kept(find_kept(tmp_path), scratch, keys) as opened:
            opened.go_on()
            with opened.ssh() as ssh:
                read = f"cat /run/witness /etc/witness; head -n1 {a}; head -n1 {k}; pgrep sleep"
                told = ssh.run(read, timeout=LIMIT)
                assert told.output.split()[:4] == ["mem", "disk", "A", "K"], told.output
                assert told.status == 0, "its processes have to be there"
                spoil = f"echo spoilt >/etc/witness; echo spoilt >{a}; echo spoilt >{k}; sync"
                ssh.run(spoil, timeout=LIMIT)


def test_a_guest_that_panicked_is_kept_and_its_memory_can_be_had(
    module_template: Template, tmp_path: Path
) -> None:
    with module_template.clone([], tmp_path / "clone", keepable=True) as guest:
        shell(guest, f"cd {guest.module_dir} && insmod bdevfilter.ko && insmod blksnap.ko")
        where = shell(guest, sections.question(["bdevfilter", "blksnap"]))
        with pytest.raises(GuestLost, match="panicked"):
            shell(guest, "echo c >/proc/sysrq-trigger; sleep 100")
        module_template.keep(guest, tmp_path / "kept")
    (tmp_path / "kept" / sections.FILE).write_text(where)
    keys = machine_keys(Cache())
    assert Kept.load(tmp_path / "kept").panicked
    with open_kept(tmp_path / "kept", tmp_path / "open", keys) as opened:
        with pytest.raises(NotKept, match="panicked"):
            opened.go_on()
        dump_memory(opened.machine, tmp_path / "memory")
    with (tmp_path / "memory").open("rb") as dump:
        assert dump.read(8) in (b"KDUMP   ", b"makedump")
    assert b"Kernel panic" in (tmp_path / "clone/console.log").read_bytes()
    if shutil.which("gdb") is not None:
        looks = ["--ex", "info line snapshot_take", "--ex", "list snapshot_take"]
        done = subprocess.run(
            command("gdb", "--kept", str(tmp_path), "--batch", *looks),
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=LIMIT * 5,
            check=False,
        )
        assert re.search(r"starts at address 0xffffffffc0\w+ <snapshot_take>", done.stdout), done
        assert "int snapshot_take(const uuid_t *id)" in done.stdout, "its sources are found"


def test_what_needs_another_qemu_is_refused(tmp_path: Path, module_template: Template) -> None:
    with module_template.clone([], tmp_path / "clone") as guest:
        module_template.keep(guest, tmp_path / "kept")
    facts = tmp_path / "kept" / FACTS
    text = facts.read_text()
    told = Kept.load(tmp_path / "kept").qemu
    facts.write_text(text.replace(told, "another"))
    with (
        pytest.raises(NotKept, match="QEMU has changed"),
        open_kept(tmp_path / "kept", tmp_path / "open", machine_keys(Cache())),
    ):
        pass


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "lab", *words]


@pytest.mark.skipif(shutil.which("gdb") is None, reason="no gdb here: apt-get install gdb")
def test_gdb_knows_the_functions_of_the_module(module_template: Template) -> None:
    wants = ["--ex", "x/i snapshot_take", "--ex", "info line snapshot_take"]
    done = subprocess.run(
        command("gdb", "--batch", *wants, "--ex", "print sizeof(struct snapshot)"),
        capture_output=True,
        text=True,
        cwd=CHECKOUT,
        timeout=LIMIT * 5,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"0xffffffffc[0-9a-f]{7} <snapshot_take>:", done.stdout), done.stdout
    assert re.search(r'Line \d+ of ".*snapshot.c" starts at', done.stdout), done.stdout
    assert re.search(r"\$1 = [1-9]\d*\n", done.stdout), done.stdout
    assert re.search(r"ssh -p \d+ -i \S+ ", done.stderr)


def test_the_console_has_a_shell(module_template: Template) -> None:
    with subprocess.Popen(
        command("console"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=CHECKOUT
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        read = b""
        limit = time.monotonic() + LIMIT * 5
        while b"#" not in read and time.monotonic() < limit:
            read += os.read(process.stdout.fileno(), 4096)
        process.stdin.write(b"echo $((6 * 7))\n")
        process.stdin.flush()
        while b"42" not in read and time.monotonic() < limit:
            read += os.read(process.stdout.fileno(), 4096)
        process.stdin.write(b"\x1d")
        process.stdin.close()
        process.stdout.read()
        assert process.wait(LIMIT) == 0
    assert b"42" in read

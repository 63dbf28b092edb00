"""QEMU's command line."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lab.accel import AccelChoice
from lab.errors import UsageError
from lab.guest.command import Accel, MachineSpec, Wiring, kernel_command_line, qemu_command
from lab.guest.disks import DEFAULT_SLOTS, HostFile, Slot, block_node, overlay_node
from lab.guest.disks import DiskFormat as Format
from lab.guest.settings import GuestSettings

SPEC = MachineSpec(Path("/k"), Path("/i"), Accel.TCG, slots=tuple(map(Slot, DEFAULT_SLOTS)))
WIRING = Wiring(4, 6, Path("/tmp/a,b/console"))


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.guest.command.find_program", lambda name: f"/usr/bin/{name}")


def values(command: list[str], option: str) -> list[str]:
    return [command[n + 1] for n, word in enumerate(command) if word == option]


def test_the_guest_dies_with_its_parent() -> None:
    assert qemu_command(SPEC, WIRING)[:3] == ["/usr/bin/setpriv", "--pdeathsig=KILL", "--"]


def test_a_kernel_bug_ends_the_guest() -> None:
    assert "-no-reboot" in qemu_command(SPEC, WIRING)
    assert {"oops=panic", "panic=-1"} <= set(kernel_command_line(SPEC).split())


def test_a_clone_has_the_devices_of_its_template() -> None:
    template = replace(SPEC, ram_file=Path("/ram"), ram_shared=True)
    disk = block_node("slot0", HostFile(Path("/d"), Format.RAW))
    slots = (Slot(DEFAULT_SLOTS[0], disk, "a"), *template.slots[1:])
    clone = replace(template, ram_shared=False, slots=slots)

    def devices(spec: MachineSpec) -> list[object]:
        found: list[object] = []
        for value in values(qemu_command(spec, WIRING), "-device"):
            parsed = json.loads(value) if value.startswith("{") else {"text": value}
            parsed.pop("serial", None)  # the serial number is not part of the saved state
            found.append(parsed)
        return found

    assert devices(clone) == devices(template)


def test_addresses_are_taken_once() -> None:
    devices = values(qemu_command(replace(SPEC, root={"node-name": "root"}), WIRING), "-device")
    found = [json.loads(d)["addr"] if d.startswith("{") else d for d in devices]
    addresses = [word.rpartition("addr=")[2].partition(",")[0] for word in found]
    numbered = [address for address in addresses if address.startswith("0x")]
    assert len(set(numbered)) == len(numbered) == len(DEFAULT_SLOTS) + 4


def test_a_comma_in_a_path_is_no_option() -> None:
    consoles = [v for v in values(qemu_command(SPEC, WIRING), "-chardev") if v.startswith("file")]
    assert consoles == ["file,id=console,path=/tmp/a,,b/console"]


@pytest.mark.parametrize(("one_thread", "threads"), [(False, "multi"), (True, "single")])
def test_processors_are_emulated_in_as_many_threads_as_is_safe(
    one_thread: bool, threads: str
) -> None:
    command = qemu_command(replace(SPEC, one_thread=one_thread), WIRING)
    assert values(command, "-accel") == [f"tcg,thread={threads}"]


def test_devices_hear_of_requests_without_a_descriptor_where_no_kvm_reads_it() -> None:
    devices = values(qemu_command(replace(SPEC, root={"node-name": "root"}), WIRING), "-device")
    drivers = {json.loads(d)["driver"] if d[0] == "{" else d.split(",")[0] for d in devices}
    told = set(values(qemu_command(SPEC, WIRING), "-global"))
    assert told == {f"{one}.ioeventfd=off" for one in drivers if one.startswith("virtio-")}
    assert values(qemu_command(replace(SPEC, accel=Accel.KVM), WIRING), "-global") == []


def test_memory_is_private_in_clones() -> None:
    clone = replace(SPEC, ram_file=Path("/ram"), ram_shared=False)
    backend = json.loads(values(qemu_command(clone, WIRING), "-object")[0])
    assert backend["share"] is False
    assert backend["size"] == clone.memory


def test_a_restored_machine_waits() -> None:
    command = qemu_command(SPEC, replace(WIRING, restored=True))
    assert values(command, "-incoming") == ["defer"]
    assert "-S" in command


def test_the_base_of_an_overlay_is_only_read() -> None:
    node = overlay_node("root", Path("/o"), Path("/b"))
    backing = node["backing"]
    assert isinstance(backing, dict)
    assert backing["read-only"] is True


def test_counted_instructions_are_the_time_of_a_processor_that_never_sleeps() -> None:
    counted = replace(SPEC, cpus=1, icount=True)
    command = qemu_command(counted, WIRING)
    assert values(command, "-icount") == ["shift=0,sleep=on"]
    assert values(command, "-accel") == ["tcg,thread=single"]
    assert "idle=poll" in kernel_command_line(counted).split()
    assert "-icount" not in qemu_command(SPEC, WIRING)


def test_instructions_are_counted_on_one_processor() -> None:
    with pytest.raises(UsageError, match="one processor"):
        GuestSettings(module=None, cpus=2, accel=AccelChoice.TCG, icount=True)

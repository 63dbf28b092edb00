"""Recordings: command lines of QEMU, the JSON, what is refused, where a replay stops. No guest."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lab.cache import contents, seal
from lab.errors import UsageError
from lab.guest.command import (
    Accel,
    MachineSpec,
    Recorded,
    Wiring,
    kernel_command_line,
    qemu_command,
)
from lab.guest.disks import DiskFormat, HostFile, Slot, block_node
from lab.replay import Comparison, Mark, NotRecorded, Recording, find_recording, refuse
from lab.replay.play import BUSY, NEAR, STATES, instant, stops
from lab.replay.recording import RecordedDisk, player_identity
from lab.scenario.load import parse_scenario
from lab.scenario.scenario import Scenario

RECORDED = Recorded(Path("/r/rr,1.bin"), "2026-01-02T03:04:05")
DISK = block_node("slot0", HostFile(Path("/d.qcow2"), DiskFormat.QCOW2))
SPEC = MachineSpec(
    Path("/k"),
    Path("/i"),
    Accel.TCG,
    root={"node-name": "root", "driver": "qcow2"},
    cpus=1,
    slots=(Slot(node=DISK),),
    recorded=RECORDED,
)
WIRING = Wiring(4, 6, Path("/console"))
RECORDING = Recording(
    scenario="group/name",
    verdict="failed",
    reason="why",
    qemu="QEMU 1",
    kernel=Path("/k"),
    base=Path("/b"),
    image="digest",
    started="2026-01-02T03:04:05",
    memory=1 << 30,
    disks=(RecordedDisk("a", 1 << 20, "a", 512, 4096),),
    marks=(Mark(5_000_000, "steps[0]", "write"), Mark(9_000_000, "steps[1]", "take")),
    end=20_000_000,
    debug_modules=None,
    module_source=Path("/m"),
)


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.guest.command.find_program", lambda name: f"/usr/bin/{name}")


def values(spec: MachineSpec, option: str) -> list[str]:
    command = qemu_command(spec, WIRING)
    return [command[n + 1] for n, word in enumerate(command) if word == option]


def replayed() -> MachineSpec:
    return replace(SPEC, recorded=replace(RECORDED, snapshots=Path("/states")))


def test_a_recorded_machine_counts_instructions_and_writes_the_log() -> None:
    (icount,) = values(SPEC, "-icount")
    assert icount == "shift=0,sleep=on,rr=record,rrfile=/r/rr,,1.bin"
    assert values(SPEC, "-rtc") == ["base=2026-01-02T03:04:05,clock=vm"]
    assert "-S" not in qemu_command(SPEC, WIRING)


def test_a_replayed_machine_reads_the_log_and_waits() -> None:
    (icount,) = values(replayed(), "-icount")
    assert icount == "shift=0,sleep=on,rr=replay,rrfile=/r/rr,,1.bin"
    assert "-S" in qemu_command(replayed(), WIRING)
    assert values(replayed(), "-drive") == ["if=none,id=states,format=qcow2,file=/states"]


def test_a_replay_has_the_devices_of_its_recording() -> None:
    for option in ("-device", "-machine", "-append", "-cpu", "-m", "-global", "-blockdev"):
        assert values(SPEC, option) == values(replayed(), option), option


def test_what_cannot_be_recorded_is_not_there() -> None:
    devices = " ".join(values(SPEC, "-device"))
    assert "virtserialport" not in devices
    assert "virtio-rng" not in devices
    assert "idle=poll" not in kernel_command_line(SPEC)
    assert "lab.port=tcp:7000" in kernel_command_line(SPEC).split()


def test_every_disk_is_below_the_recording_driver_and_still_discards() -> None:
    nodes = [json.loads(one) for one in values(SPEC, "-blockdev")]
    assert [node["driver"] for node in nodes] == ["blkreplay", "blkreplay"]
    assert [node["node-name"] for node in nodes] == ["root", "slot0"]
    assert nodes[1]["discard"] == nodes[1]["image"]["discard"] == "unmap"


def test_a_recording_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert find_recording(tmp_path) is None
    (tmp_path / "replay").mkdir()
    RECORDING.save(tmp_path / "replay")
    assert find_recording(tmp_path) == tmp_path / "replay"
    assert Recording.load(tmp_path / "replay") == RECORDING


@pytest.mark.parametrize("text", [None, "{", "{}", '{"kernel": 1}'])
def test_a_folder_without_a_recording_says_so(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "recording.json").write_text(text)
    with pytest.raises(NotRecorded, match="holds no recording"):
        Recording.load(tmp_path)


def test_another_qemu_cannot_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.replay.recording.player_identity", lambda: "QEMU 2")
    with pytest.raises(NotRecorded, match="its firmware or the machine has changed"):
        RECORDING.check()


def test_another_machine_is_another_player(monkeypatch: pytest.MonkeyPatch) -> None:
    before = player_identity()
    assert player_identity() == before
    monkeypatch.setattr("lab.guest.command.ADDRESS_NETWORK", 0x1F)
    assert player_identity() != before


def test_an_image_that_is_gone_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.replay.recording.player_identity", lambda: "QEMU 1")
    with pytest.raises(NotRecorded, match="/b is not in the cache"):
        RECORDING.check()


def test_an_image_that_was_built_anew_is_another_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("lab.replay.recording.player_identity", lambda: "QEMU 1")
    for name in ("kernel", "disk"):
        (tmp_path / name).write_text("first")
    seal(tmp_path)
    first = replace(
        RECORDING, kernel=tmp_path / "kernel", base=tmp_path / "disk", image=contents(tmp_path)
    )
    first.check()
    (tmp_path / "disk").write_text("second")
    seal(tmp_path)
    with pytest.raises(NotRecorded, match="was built anew"):
        first.check()


def test_consoles_are_compared_byte_for_byte() -> None:
    assert Comparison(b"abc", b"abc").identical
    assert not Comparison(b"", b"").identical
    shorter, other = Comparison(b"abc", b"ab"), Comparison(b"abc", b"aXc")
    assert (shorter.same, other.same) == (2, 1)
    assert "differs after 1 bytes" in other.told()


def test_an_instant_is_a_step_the_failure_or_the_end() -> None:
    assert instant(RECORDING).where == "end"
    failed = replace(RECORDING, marks=(*RECORDING.marks, Mark(9_500_000, "failure", "x")))
    assert instant(failed).where == "failure"
    assert instant(failed, "steps[1]").icount == 9_000_000 - BUSY
    panicked = replace(RECORDING, end=None)
    assert instant(panicked).where == "steps[1]"
    with pytest.raises(UsageError, match=r"steps\[7\]"):
        instant(RECORDING, "steps[7]")


def test_states_are_saved_at_steps_and_just_before_the_instant() -> None:
    target = instant(RECORDING)
    assert stops(RECORDING, target) == [5_000_000 + BUSY, 9_000_000 + BUSY, target.icount - NEAR]
    many = tuple(Mark(10_000 * n, f"steps[{n}]", "") for n in range(1, 100))
    found = stops(replace(RECORDING, marks=many), target)
    assert len(found) == STATES + 1
    assert found == sorted(found)


def scenario(text: str, disk: str = "{size: 16MiB}") -> Scenario:
    head = f"summary: A scenario to be recorded\ndisks: {{a: {disk}}}\n"
    return parse_scenario(head + text, "group/name", "file.yaml")


def test_a_scenario_of_usual_steps_can_be_recorded() -> None:
    refuse(scenario("steps: [write: {device: a, size: 1MiB}]"))


@pytest.mark.parametrize(
    ("text", "disk", "reason"),
    [
        ("steps: [power_cut: {}, boot: ]", "{size: 16MiB}", "cuts the power"),
        ("steps: [reboot: {}]", "{size: 16MiB}", "boots again"),
        ("steps: [resize: {device: a, size: 32MiB}]", "{size: 16MiB}", "size of a disk"),
        ("steps: [unplug: {disk: a}, plug: {disk: a}]", "{size: 16MiB}", "pulls a disk"),
        ("steps: [write: {device: a, size: 1MiB}]", "{size: 16MiB, log: true}", "is logged"),
        ("steps: [write: {device: a, size: 1MiB}]", "{size: 16MiB, discard: false}", "plugged"),
        (
            "steps: [write: {device: a, size: 1MiB}]\nfail_each: {disks: [a]}",
            "{size: 16MiB}",
            "many runs",
        ),
    ],
)
def test_what_is_beyond_recording_is_refused_with_the_reason(
    text: str, disk: str, reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        refuse(scenario(text, disk))


def test_a_step_within_a_step_is_refused_too() -> None:
    inside = "steps: [repeat: {times: 2, steps: [resize: {device: a, size: 32MiB}]}]"
    with pytest.raises(UsageError, match="size of a disk"):
        refuse(scenario(inside))

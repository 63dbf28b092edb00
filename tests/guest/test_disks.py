"""Disks: what may be declared, the files behind them, slots."""

import errno
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lab.errors import UsageError
from lab.guest.bay import DiskBay
from lab.guest.command import ADDRESS_END, ADDRESS_SLOTS
from lab.guest.disks import (
    DEFAULT_SLOTS,
    BadIo,
    BlockSizes,
    DiskFormat,
    DiskSpec,
    HostFile,
    Limits,
    block_node,
    create_host_file,
    device_path,
    disk_device,
    failing_node,
    throttling,
)
from lab.scenario.check_devices import PLUGS, SLOTS
from lab.units import MIB, TIB


@pytest.mark.parametrize(
    ("index", "path"),
    [(0, "/dev/vda"), (25, "/dev/vdz"), (26, "/dev/vdaa"), (51, "/dev/vdaz"), (52, "/dev/vdba")],
)
def test_names_of_the_guest(index: int, path: str) -> None:
    assert device_path(index) == path


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "a b"},
        {"name": "x" * 21},
        {"size": 0},
        {"size": 513},
        {"size": 512, "logical_block_size": 4096, "physical_block_size": 4096},
        {"logical_block_size": 4096},
        {"logical_block_size": 520},
        {"serial": "no/slash"},
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        DiskSpec(**{"name": "a", "size": MIB, **fields})


def test_scenarios_are_checked_by_the_slots_that_there_are() -> None:
    slots = Counter((one.logical, one.physical) for one in DEFAULT_SLOTS)
    assert slots == SLOTS
    assert ADDRESS_END - ADDRESS_SLOTS - len(DEFAULT_SLOTS) == PLUGS


def test_a_serial_number_that_cannot_be_is_told_as_such() -> None:
    with pytest.raises(UsageError, match="disk a: serial number 'my disk': it has 1 to 20"):
        DiskSpec("a", MIB, serial="my disk")


def test_a_file_is_sparse_and_zero(tmp_path: Path) -> None:
    file = create_host_file(tmp_path, "a", 100 * MIB)
    assert file.format is DiskFormat.RAW
    assert file.path.stat().st_size == 100 * MIB
    assert file.path.stat().st_blocks == 0


def test_a_disk_too_large_for_a_file_is_a_qcow2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    def too_large(_self: object, _size: int) -> None:
        raise OSError(errno.EFBIG, "File too large")

    class File:
        truncate = too_large

        def __enter__(self) -> "File":
            return self

        def __exit__(self, *_error: object) -> None:
            return None

    monkeypatch.setattr(Path, "open", lambda *_a, **_k: File())
    monkeypatch.setattr("lab.guest.disks.run", lambda argv, **_k: commands.append(argv))
    file = create_host_file(tmp_path, "a", 64 * TIB)
    assert file.format is DiskFormat.QCOW2
    assert commands[0][-1] == str(64 * TIB)


PLAIN, LARGE = BlockSizes(), BlockSizes(4096, 4096)


@pytest.fixture
def bay(tmp_path: Path) -> DiskBay:
    return DiskBay(tmp_path, (PLAIN, PLAIN, LARGE))


def test_disks_go_into_slots_of_their_block_sizes(bay: DiskBay) -> None:
    bay.declare([DiskSpec("k", MIB, 4096, 4096), DiskSpec("a", MIB)])
    assert bay.disks["a"].path == "/dev/vdb"
    assert bay.disks["k"].path == "/dev/vdd"
    serials = [slot.serial for slot in bay.slots()]
    assert serials == ["a", "", "k"]
    assert bay.not_in_slots() == []


def test_disks_without_a_slot_are_to_be_plugged(bay: DiskBay) -> None:
    bay.declare([DiskSpec(name, MIB) for name in "abc"])
    bay.declare([DiskSpec("nodiscard", MIB, discard=False)])
    assert bay.in_slots() == ["a", "b"]
    assert bay.not_in_slots() == ["c", "nodiscard"]


def test_two_disks_of_one_name_or_serial_are_refused(bay: DiskBay) -> None:
    bay.declare([DiskSpec("a", MIB)])
    for spec in (DiskSpec("a", MIB), DiskSpec("b", MIB, serial="a")):
        with pytest.raises(UsageError):
            bay.declare([spec])


def test_files_go_with_the_bay(bay: DiskBay, tmp_path: Path) -> None:
    bay.declare([DiskSpec("a", MIB)])
    assert (tmp_path / "a.raw").exists()
    bay.remove_files()
    assert list(tmp_path.iterdir()) == []


def test_discards_are_exact_to_the_logical_block() -> None:
    device = disk_device("d", "n", 6, sizes=LARGE, serial="s")
    assert device["discard_granularity"] == 4096
    assert device["addr"] == "0x6"


def test_a_log_begins_anew_with_each_machine_and_keeps_what_the_disk_held(
    bay: DiskBay, tmp_path: Path
) -> None:
    bay.declare([DiskSpec("a", MIB, log=True), DiskSpec("b", MIB)])
    disk = bay.disks["a"]
    assert disk.log is not None
    assert (disk.base, bay.disks["b"].log) == (None, None)
    node = bay.slots()[0].node
    assert node is not None
    assert (node["driver"], node["node-name"]) == ("blklogwrites", "slot0")
    # What has this option does not let flushes by.
    assert "cache" not in node
    disk.log.write_bytes(b"entries")
    disk.host_file.write_bytes(b"held".ljust(MIB, b"\0"))
    bay.powered_off()
    disk = bay.disks["a"]
    assert disk.log is not None
    assert disk.base is not None
    assert disk.log.read_bytes() == b""
    assert disk.base.read_bytes()[:4] == b"held"
    bay.remove_files()
    assert list(tmp_path.iterdir()) == []


def test_a_disk_with_a_server_may_fail(bay: DiskBay, tmp_path: Path) -> None:
    bay.declare([DiskSpec("a", MIB, server=tmp_path / "socket"), DiskSpec("b", MIB)])
    node = bay.slots()[0].node
    assert node is not None
    assert (node["driver"], node["export"]) == ("nbd", "a")
    assert [bay.may_fail(name) for name in ("slot0", "slot1", None)] == [True, False, False]


def test_only_what_is_named_fails() -> None:
    below = block_node("a-disk", HostFile(Path("/a.raw"), DiskFormat.RAW), discard=False)
    node = failing_node("a", below, (BadIo("write", 16, once=True), BadIo("flush")))
    rule = {"event": "none", "errno": errno.EIO}
    assert node["inject-error"] == [
        {**rule, "iotype": "write", "sector": 16, "once": True},
        {**rule, "iotype": "flush", "once": False},
    ]
    assert (node["node-name"], node["image"], node["discard"]) == ("a", below, "ignore")


def test_a_disk_with_errors_is_known_to_fail(tmp_path: Path) -> None:
    bay = DiskBay(tmp_path, (BlockSizes(), BlockSizes()))
    bay.declare([DiskSpec("a", MIB, errors=(BadIo("read"),)), DiskSpec("b", MIB)])
    nodes = [slot.node or {} for slot in bay.slots()]
    assert [node["driver"] for node in nodes] == ["blkdebug", "raw"]
    assert [bay.may_fail(node["node-name"]) for node in nodes] == [True, False]


def test_limits_are_those_of_one_disk() -> None:
    told = throttling("slot3", Limits(read=1, write=2, operations=3))
    assert told["id"] == "/machine/peripheral/slot3/virtio-backend"
    assert {key: value for key, value in told.items() if value} == {
        "id": told["id"],
        "bps_rd": 1,
        "bps_wr": 2,
        "iops": 3,
    }

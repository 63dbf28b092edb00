"""Two users of the block device filter on one device: both see the writes, no place is taken over.

The other user (filters/second.c) is built together with the module, from a copy of its sources.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.guest.channel import AgentFailure
from lab.guest.disks import DiskSpec
from lab.guest.guest import Guest
from lab.guest.prepare import prepare
from lab.guest.settings import GuestSettings
from lab.guest.template import Template
from lab.runner.klog import LogLine, find_splats
from lab.units import MIB

from .conftest import MODULE, tell

pytestmark = [pytest.mark.guest, pytest.mark.timeout(1800)]

SECOND = Path(__file__).with_name("filters") / "second.c"
LIMIT = 60.0
SECTORS = 512
BLKSNAP, OTHER = 0, 1
"""The altitudes (bdevfilter.h)."""


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    source = tmp_path_factory.mktemp("filters") / "module"
    shutil.copytree(MODULE, source)
    shutil.copy(SECOND, source)
    with (source / "Kbuild").open("a", encoding="utf-8") as kbuild:
        kbuild.write("obj-m += second.o\n")
    made = prepare(GuestSettings(module=source), tell)
    yield made
    if made.hold is not None:
        made.hold.close()


@pytest.fixture
def guest(template: Template, tmp_path: Path) -> Iterator[Guest]:
    with template.clone([DiskSpec("a", 16 * MIB), DiskSpec("store", 16 * MIB)], tmp_path) as guest:
        load(guest, "bdevfilter")
        yield guest
        answer = guest.channel.request("kmsg", {"since_seq": 0}, LIMIT)
        lines = [LogLine(str(one["text"]), int(one["level"])) for one in answer["records"]]
        assert find_splats(lines) == []


def load(guest: Guest, name: str, **parameters: int) -> None:
    path = f"{guest.module_dir}/{name}.ko"
    guest.channel.request("module_load", {"path": path, "params": parameters}, LIMIT)


def unload(guest: Guest, name: str) -> None:
    guest.channel.request("module_unload", {"name": name, "timeout": 10.0}, LIMIT)


def load_second(guest: Guest, altitude: int) -> None:
    info = guest.channel.request("device_info", {"path": guest.disks["a"].path}, LIMIT)
    load(guest, "second", major=info["major"], minor=info["minor"], altitude=altitude)


def counted(guest: Guest) -> int:
    """Sectors of the writes that the other filter has seen."""
    info = guest.channel.request("module_info", {"name": "second"}, LIMIT)
    return int(info["params"]["sectors"])


def write(guest: Guest, seq: int) -> None:
    args = {"path": guest.disks["a"].path, "tag": 1, "writes": [[0, SECTORS, seq]], "how": "direct"}
    guest.channel.request("write", args, LIMIT)


def take(guest: Guest) -> str:
    """A snapshot, taken; its id."""
    devices = [guest.disks["a"].path]
    made = guest.channel.request("snapshot_create", {"devices": devices}, LIMIT)
    storage = {"id": made["id"], "device": guest.disks["store"].path, "ranges": [[0, 16384]]}
    guest.channel.request("append_storage", storage, LIMIT)
    guest.channel.request("snapshot_take", {"id": made["id"]}, LIMIT)
    return str(made["id"])


def changed(guest: Guest) -> int:
    """Blocks of the map that were written at any time."""
    answer = guest.channel.request("read_cbt", {"device": guest.disks["a"].path}, LIMIT)
    return sum(count for _, count, value in answer["runs"] if value)


def image_seqs(guest: Guest) -> set[int]:
    """Numbers of the writes that the first image shows where they were made."""
    place = {"path": "/dev/blksnap-image0", "sector": 0, "count": SECTORS}
    return {run[4] for run in guest.channel.request("scan", place, LIMIT)["runs"]}


def test_both_see_every_write_whoever_comes_and_goes(guest: Guest) -> None:
    load(guest, "blksnap")
    guest.channel.request("snapshot_destroy", {"id": take(guest)}, LIMIT)
    load_second(guest, OTHER)
    write(guest, 1)
    assert counted(guest) == SECTORS
    held = take(guest)
    assert changed(guest) == SECTORS * 512 // 65536
    write(guest, 2)
    assert counted(guest) == 2 * SECTORS
    assert image_seqs(guest) == {1}
    guest.channel.request("snapshot_destroy", {"id": held}, LIMIT)
    unload(guest, "blksnap")
    write(guest, 3)
    assert counted(guest) == 3 * SECTORS
    load(guest, "blksnap")
    held = take(guest)
    unload(guest, "second")
    write(guest, 4)
    assert image_seqs(guest) == {3}
    guest.channel.request("snapshot_destroy", {"id": held}, LIMIT)
    unload(guest, "blksnap")
    unload(guest, "bdevfilter")


def test_a_place_is_never_taken_over(guest: Guest) -> None:
    load(guest, "blksnap")
    held = take(guest)
    with pytest.raises(AgentFailure) as refused:
        load_second(guest, BLKSNAP)
    assert refused.value.errno == errno.EALREADY
    write(guest, 1)
    assert image_seqs(guest) == {None}, "the image shows the zeros of before"
    guest.channel.request("snapshot_destroy", {"id": held}, LIMIT)
    unload(guest, "blksnap")
    load_second(guest, BLKSNAP)
    load(guest, "blksnap")
    with pytest.raises(AgentFailure) as refused:
        take(guest)
    assert refused.value.errno == errno.EALREADY
    write(guest, 2)
    assert counted(guest) == SECTORS
    unload(guest, "second")
    guest.channel.request("snapshot_destroy", {"id": take(guest)}, LIMIT)


@pytest.mark.parametrize("altitude", [-1, 2, 1000])
def test_there_are_two_places(guest: Guest, altitude: int) -> None:
    with pytest.raises(AgentFailure) as refused:
        load_second(guest, altitude)
    assert refused.value.errno == errno.EINVAL

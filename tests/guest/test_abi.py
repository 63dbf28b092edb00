"""The control interface, seen by a client in C that knows nothing but the module's header.

The client (abi/, no C library) is compiled in a guest for 64 and for 32 bits, against the header
that the module offers to user space: one written against v0's works all the same, as layout and
values are those. Each group of its checks runs in a guest of its own; a check is a line "ok NAME"
or "not ok NAME: why", NAME beginning with the rule it is about, and "done" is the last line. The
markers say which rules a group proves: there must have been checks of each.
"""

from __future__ import annotations

import base64
import ctypes
import io
import tarfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from lab.blksnap import abi
from lab.guest.disks import DiskSpec
from lab.guest.guest import Guest
from lab.guest.template import Template
from lab.runner.klog import LogLine, find_splats
from lab.units import MIB

from .conftest import MODULE

pytestmark = [pytest.mark.guest, pytest.mark.timeout(1800)]

SOURCES = Path(__file__).with_name("abi")
HEADERS = MODULE / "include/uapi"
COMPILER = (
    "gcc -Wall -Wextra -Werror -std=gnu11 -O1 -ffreestanding -fno-stack-protector -fno-pie"
    " -static -nostdlib -no-pie -s -Iinclude -I/usr/include -I/usr/include/x86_64-linux-gnu"
)
Loaded = Callable[[str], AbstractContextManager[tuple[Guest, list[str]]]]
LIMIT = 60.0
GROUP_LIMIT = 300.0
DISKS = tuple(DiskSpec(name, 64 * MIB) for name in ("a", "b", "store"))

GROUPS = [
    "leak",
    pytest.param("owner", marks=pytest.mark.proves("K24")),
    pytest.param("requests", marks=pytest.mark.proves("K1")),
    pytest.param("counts", marks=pytest.mark.proves("K5", "K6")),
    pytest.param("privilege", marks=pytest.mark.proves("K3")),
    pytest.param("pointers", marks=pytest.mark.proves("K2")),
    pytest.param("map", marks=pytest.mark.proves("K7")),
    pytest.param("mark", marks=pytest.mark.proves("K8")),
    pytest.param("flow", marks=pytest.mark.proves("K20", "K22", "K23", "K24", "K27")),
    pytest.param("waiting", marks=pytest.mark.proves("K24", "K25")),
    pytest.param("races", marks=pytest.mark.proves("K26")),
    pytest.param("unload", marks=pytest.mark.proves("K28")),
]
"""The groups of the client with checks of the module, and the rules that they prove."""

BITS = [64, pytest.param(32, marks=pytest.mark.proves("K4"))]

SIZES_32 = {
    "blk_snap_cbt_info": 44,
    "blk_snap_tracker_collect": 8,
    "blk_snap_tracker_read_cbt_bitmap": 20,
    "blk_snap_tracker_mark_dirty_blocks": 16,
    "blk_snap_snapshot_create": 24,
    "blk_snap_snapshot_append_storage": 32,
    "blk_snap_snapshot_collect": 8,
    "blk_snap_snapshot_collect_images": 24,
    "blk_snap_snapshot_event": 4096,
}
REQUESTS_32 = {
    "IOCTL_BLK_SNAP_TRACKER_COLLECT": 0x40085602,
    "IOCTL_BLK_SNAP_TRACKER_READ_CBT_MAP": 0x80145603,
    "IOCTL_BLK_SNAP_TRACKER_MARK_DIRTY_BLOCKS": 0x80105604,
    "IOCTL_BLK_SNAP_SNAPSHOT_CREATE": 0x40185605,
    "IOCTL_BLK_SNAP_SNAPSHOT_APPEND_STORAGE": 0x40205607,
    "IOCTL_BLK_SNAP_SNAPSHOT_COLLECT": 0x40085609,
    "IOCTL_BLK_SNAP_SNAPSHOT_COLLECT_IMAGES": 0x4018560A,
}
"""Of v0 for 32 bits (interface.md B.1.2 and B.2); all others are as for 64."""


def shell(guest: Guest, script: str, given: str = "", limit: float = LIMIT) -> str:
    args = {"argv": ["sh", "-ec", script], "input": given, "timeout": limit}
    done = guest.channel.request("exec", args, limit + LIMIT)
    assert done["status"] == 0, done
    return str(done["stdout"])


def archive() -> str:
    """Sources and header as a tar file, in base 64."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(SOURCES, arcname=".")
        tar.add(HEADERS, arcname="include")
    return base64.b64encode(packed.getvalue()).decode()


@pytest.fixture(scope="session")
def clients(module_template: Template, tmp_path_factory: pytest.TempPathFactory) -> dict[int, str]:
    """The client by its word size, as a program in base 64."""
    with module_template.clone([], tmp_path_factory.mktemp("compiler")) as guest:
        shell(guest, "mkdir /root/abi; base64 -d | tar xz -C /root/abi", archive())
        build = f"cd /root/abi; {COMPILER} -m{{bits}} *.c -o client; base64 -w0 client"
        return {bits: shell(guest, build.format(bits=bits), limit=300.0) for bits in (64, 32)}


@pytest.fixture
def client(bits: int, clients: dict[int, str]) -> str:
    """The client for the word size that the test is about."""
    return clients[bits]


@pytest.fixture
def loaded(module_template: Template, tmp_path: Path) -> Loaded:
    """Makes a guest with the module loaded and a client in it."""
    return lambda client: guest_with(client, module_template, tmp_path)


@contextmanager
def guest_with(client: str, template: Template, folder: Path) -> Iterator[tuple[Guest, list[str]]]:
    """A guest with the module loaded and the client in it, and the client's first arguments."""
    with template.clone(DISKS, folder) as guest:
        shell(guest, "base64 -d >/root/client; chmod +x /root/client", client)
        for name in ("bdevfilter", "blksnap"):
            path = f"{guest.module_dir}/{name}.ko"
            guest.channel.request("module_load", {"path": path}, LIMIT)
        arguments = ["/root/client", str(guest.module_dir)]
        for disk in DISKS:
            path = guest.disks[disk.name].path
            info = guest.channel.request("device_info", {"path": path}, LIMIT)
            arguments.append(f"{path}={info['major']}:{info['minor']}")
        yield guest, arguments


def kernel_log(guest: Guest) -> list[LogLine]:
    answer = guest.channel.request("kmsg", {"since_seq": 0}, LIMIT)
    lines = list(answer["records"])
    while answer["more"]:
        answer = guest.channel.request("kmsg", {"since_seq": answer["next_seq"]}, LIMIT)
        lines += answer["records"]
    return [LogLine(str(one["text"]), int(one["level"])) for one in lines]


def left_over(guest: Guest) -> dict[str, list[int]]:
    counters = guest.channel.request("memory_counters", {}, LIMIT)["counters"]
    return {kind: pair for kind, pair in counters.items() if any(pair)}


def run_group(guest: Guest, arguments: list[str], group: str) -> list[str]:
    """The lines that a group prints: none is "not ok", the last is "done"."""
    args = {"argv": [*arguments, group], "timeout": GROUP_LIMIT}
    done = guest.channel.request("exec", args, GROUP_LIMIT + LIMIT)
    lines = [str(line) for line in done["stdout"].splitlines()]
    failed = [line for line in lines if line.startswith("not ok ")]
    assert not failed, "\n".join(failed)
    assert lines[-1:] == ["done"], done
    assert done["status"] == 0
    return lines


def layout() -> dict[str, int]:
    """What a compiler for 64 bits must say of the header, from the library in Python."""
    facts: dict[str, int] = {}
    for name, what in vars(abi).items():
        if name.startswith("IOCTL_"):
            facts[f"request {name}"] = what
        elif isinstance(what, type) and issubclass(what, ctypes.Structure):
            facts[f"size {name}"] = ctypes.sizeof(what)
            for member, *_ in what._fields_:
                place = getattr(what, member)
                facts[f"offset {name}.{member}"] = place.offset
                facts[f"size {name}.{member}"] = place.size
    return facts


@pytest.mark.parametrize("bits", BITS)
def test_the_layout_of_the_header(bits: int, client: str, loaded: Loaded) -> None:
    with loaded(client) as (guest, arguments):
        lines = run_group(guest, arguments, "layout")
    facts = [line.rpartition(" ") for line in lines if not line.startswith(("ok ", "done"))]
    seen = {what: int(number) & 0xFFFFFFFF for what, _, number in facts}
    if bits == 64:
        assert seen == layout()
        return
    wanted = {one: n for one, n in layout().items() if "." not in one}
    wanted |= {f"size {name}": size for name, size in SIZES_32.items()}
    wanted |= {f"request {name}": value for name, value in REQUESTS_32.items()}
    assert {one: n for one, n in seen.items() if "." not in one} == wanted


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("bits", BITS)
def test_a_client_in_c(
    bits: int, group: str, client: str, loaded: Loaded, request: pytest.FixtureRequest
) -> None:
    if bits == 32 and group == "unload":
        pytest.skip("unloading does not depend on the word size of who asks for it")
    with loaded(client) as (guest, arguments):
        lines = run_group(guest, arguments, group)
        checked = {line.split()[1] for line in lines if line.startswith("ok ")}
        named = {rule for marker in request.node.iter_markers("proves") for rule in marker.args}
        assert named <= checked
        assert find_splats(kernel_log(guest)) == []
        if guest.channel.request("module_info", {"name": "blksnap"}, LIMIT)["loaded"]:
            assert left_over(guest) == {}
            guest.channel.request("module_unload", {"name": "blksnap", "timeout": 10.0}, LIMIT)
        assert find_splats(kernel_log(guest)) == []

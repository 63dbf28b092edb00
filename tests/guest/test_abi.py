"""The control interface, seen by a client in C that knows nothing but the module's header.

The client (abi/, no C library) is compiled in a guest for 64 and for 32 bits, against the header
that the module offers to user space: one written against v0's works all the same, as layout and
values are those. Each group of its checks runs in a guest of its own; a check is a line "ok NAME"
or "not ok NAME: why", NAME beginning with the rule it is about, and "done" is the last line.
"""

from __future__ import annotations

import base64
import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

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
LIMIT = 60.0
GROUP_LIMIT = 300.0
DISKS = tuple(DiskSpec(name, 64 * MIB) for name in ("a", "b", "store"))

GROUPS = {
    "requests": {"K1"},
    "counts": {"K5", "K6"},
    "privilege": {"K3"},
    "pointers": {"K2"},
    "map": {"K7"},
    "mark": {"K8"},
    "flow": {"A.1", "B.5.4", "K20", "K22", "K23", "K24", "K27"},
    "waiting": {"K24", "K25"},
    "races": {"K26"},
    "unload": {"K28"},
}
"""The groups of the client and the rules that each has checks of."""


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


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("bits", [64, 32])
def test_a_client_in_c(
    bits: int, group: str, clients: dict[int, str], module_template: Template, tmp_path: Path
) -> None:
    if bits == 32 and group == "unload":
        pytest.skip("unloading does not depend on the word size of who asks for it")
    with guest_with(clients[bits], module_template, tmp_path) as (guest, arguments):
        args = {"argv": [*arguments, group], "timeout": GROUP_LIMIT}
        done = guest.channel.request("exec", args, GROUP_LIMIT + LIMIT)
        lines = done["stdout"].splitlines()
        failed = [line for line in lines if line.startswith("not ok ")]
        assert not failed, "\n".join(failed)
        assert lines[-1:] == ["done"], done
        assert done["status"] == 0
        rules = {line.split()[1] for line in lines if line.startswith("ok ")}
        assert rules >= GROUPS[group]
        assert find_splats(kernel_log(guest)) == []
        if guest.channel.request("module_info", {"name": "blksnap"}, LIMIT)["loaded"]:
            assert left_over(guest) == {}
            guest.channel.request("module_unload", {"name": "blksnap", "timeout": 10.0}, LIMIT)
        assert find_splats(kernel_log(guest)) == []

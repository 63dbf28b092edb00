"""The debug kernel finds what it is there for, and the lab calls each report by its right name.

Building the kernel takes half an hour, so this is not part of the default run.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.guest.guest import Guest
from lab.guest.prepare import prepare
from lab.guest.settings import GuestSettings
from lab.guest.template import Template
from lab.image import Recipe, kernel_named
from lab.runner.klog import LogLine, Splat, SplatKind, find_splats, parse_console
from lab.runner.leaks import GROWN, KMEMLEAK

BUILD = 3 * 3600
pytestmark = [pytest.mark.guest, pytest.mark.slow, pytest.mark.timeout(BUILD)]

KERNEL = "6.1-debug"
SOURCE = Path(__file__).with_name("splat")
LIMIT = 300.0
IMPATIENT_S = 5
"""Seconds after which the guest's kernel calls a task hung, and RCU stalled."""
HUNG_AFTER = "/proc/sys/kernel/hung_task_timeout_secs"
STALLED_AFTER = "/sys/module/rcupdate/parameters/rcu_cpu_stall_timeout"


@pytest.fixture(scope="module")
def template() -> Iterator[Template]:
    """The debug kernel with the module that makes mistakes."""
    made = prepare(GuestSettings(module=SOURCE, recipe=Recipe(kernel_named(KERNEL))))
    yield made
    made.release()


@pytest.fixture
def guest(template: Template, tmp_path: Path) -> Iterator[Guest]:
    with template.clone([], tmp_path) as guest:
        for path in (HUNG_AFTER, STALLED_AFTER):
            write(guest, path, str(IMPATIENT_S))
        yield guest


def write(guest: Guest, path: str, text: str) -> None:
    guest.channel.request("write_file", {"path": path, "text": text}, LIMIT)


def make_mistake(guest: Guest, what: str) -> None:
    """Load the module with one mistake; a guest that panics does not answer any more."""
    args = {"path": f"{guest.module_dir}/splat.ko", "params": {"what": what}}
    with contextlib.suppress(LabError):
        guest.channel.request("module_load", args, LIMIT)


def logged(guest: Guest) -> list[LogLine]:
    """The kernel log, from the console if the guest is gone."""
    try:
        answer = guest.channel.request("kmsg", {"since_seq": 0}, LIMIT)
    except LabError:
        return parse_console(guest.machine.console_text())
    return [
        LogLine(line, record["level"])
        for record in answer["records"]
        for line in str(record["text"]).split("\n")
    ]


def mistakes(guest: Guest) -> list[Splat]:
    """The reports that are about our module."""
    return [splat for splat in find_splats(logged(guest)) if "splat" in " ".join(splat.trace)]


@pytest.mark.parametrize(
    ("what", "kind", "said"),
    [
        ("warning", SplatKind.WARNING, "WARNING: CPU: "),
        ("oops", SplatKind.OOPS, "BUG: kernel NULL pointer dereference"),
        ("bug", SplatKind.BUG, "kernel BUG at "),
        ("out-of-bounds", SplatKind.KASAN, "slab-out-of-bounds in splat_out_of_bounds"),
        ("after-free", SplatKind.KASAN, "use-after-free in splat_after_free"),
        ("shift", SplatKind.UBSAN, "UBSAN: shift-out-of-bounds in "),
        ("inversion", SplatKind.LOCKDEP, "WARNING: possible circular locking dependency detected"),
        ("sleep", SplatKind.SLEEPING, "BUG: scheduling while atomic"),
        ("hang", SplatKind.HUNG_TASK, "blocked for more than 5 seconds"),
        ("stall", SplatKind.RCU, "rcu: INFO: rcu_preempt "),
        ("list", SplatKind.LIST, "list_del corruption"),
        ("refcount", SplatKind.REFCOUNT, "refcount_t: addition on 0; use-after-free"),
    ],
)
def test_each_mistake_is_found_and_named(
    guest: Guest, what: str, kind: SplatKind, said: str
) -> None:
    make_mistake(guest, what)
    found = mistakes(guest)
    print("\n".join(line for splat in found for line in splat.trace))
    assert found, logged(guest)[-60:]
    assert (found[0].kind, said in " ".join(found[0].trace)) == (kind, True)


def test_a_leak_is_found_and_named(guest: Guest) -> None:
    write(guest, KMEMLEAK, "clear")
    make_mistake(guest, "leak")
    time.sleep(GROWN)
    write(guest, KMEMLEAK, "scan")
    write(guest, KMEMLEAK, "scan")
    kinds = [splat.kind for splat in find_splats(logged(guest))]
    assert kinds == [SplatKind.KMEMLEAK]
    said = guest.channel.request("read_file", {"path": KMEMLEAK}, LIMIT)["text"]
    print(said)
    assert "splat_leak" in said

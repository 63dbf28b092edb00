"""The debug kernels find what they are there for, and the lab calls each report by its right name.

Building a kernel takes half an hour, so this is not part of the default run.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.guest.guest import Guest
from lab.guest.prepare import prepare
from lab.guest.settings import GuestSettings
from lab.guest.template import Template
from lab.image import Recipe, kernel_named
from lab.runner import leaks
from lab.runner.klog import LogLine, Splat, SplatKind, find_splats, parse_console

from .mistakes import MISTAKES, SOURCE

BUILD = 3 * 3600
pytestmark = [pytest.mark.guest, pytest.mark.slow, pytest.mark.timeout(BUILD)]

DEBUG, RACES = "6.1-debug", "6.1-kcsan"
LIMIT = 300.0
IMPATIENT_S = 5
"""Seconds after which the guest's kernel calls a task hung, RCU stalled, work stuck."""
HUNG_AFTER = "/proc/sys/kernel/hung_task_timeout_secs"
STALLED_AFTER = "/sys/module/rcupdate/parameters/rcu_cpu_stall_timeout"
LOCKED_AFTER = "/sys/module/workqueue/parameters/watchdog_thresh"
SAMPLED_EVERY_MS = "/sys/module/kfence/parameters/sample_interval"


@pytest.fixture(scope="module")
def templates() -> Iterator[Callable[[str], Template]]:
    """A kernel, by its name, with the module that makes mistakes."""
    made: dict[str, Template] = {}

    def template(kernel: str) -> Template:
        if kernel not in made:
            recipe = Recipe(kernel_named(kernel))
            made[kernel] = prepare(GuestSettings(module=SOURCE, recipe=recipe))
        return made[kernel]

    yield template
    for each in made.values():
        each.release()


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


def assert_named(guest: Guest, kind: SplatKind, said: str) -> None:
    found = mistakes(guest)
    print("\n".join(line for splat in found for line in splat.trace))
    assert found, logged(guest)[-60:]
    assert (found[0].kind, said in " ".join(found[0].trace)) == (kind, True)


@pytest.mark.parametrize(("what", "kind", "said"), MISTAKES)
def test_each_mistake_is_found_and_named(
    templates: Callable[[str], Template],
    tmp_path: Path,
    what: str,
    kind: SplatKind,
    said: str,
) -> None:
    with templates(DEBUG).clone([], tmp_path) as guest:
        # Who waits for work that is stuck hangs as well.
        for path in (STALLED_AFTER, LOCKED_AFTER if what == "lockup" else HUNG_AFTER):
            write(guest, path, str(IMPATIENT_S))
        make_mistake(guest, what)
        assert_named(guest, kind, said)


def test_a_data_race_is_found_and_named(
    templates: Callable[[str], Template], tmp_path: Path
) -> None:
    with templates(RACES).clone([], tmp_path) as guest:
        make_mistake(guest, "race")
        assert_named(guest, SplatKind.KCSAN, "BUG: KCSAN: data-race in splat_racer")


def test_what_kfence_samples_is_found_and_named(
    templates: Callable[[str], Template], tmp_path: Path
) -> None:
    with templates(RACES).clone([], tmp_path) as guest:
        write(guest, SAMPLED_EVERY_MS, "1")
        make_mistake(guest, "sampled")
        assert_named(guest, SplatKind.KFENCE, "BUG: KFENCE: use-after-free read in splat_")


def test_a_leak_is_found_and_named(templates: Callable[[str], Template], tmp_path: Path) -> None:
    with templates(DEBUG).clone([], tmp_path) as guest:
        write(guest, leaks.KMEMLEAK, "clear")
        make_mistake(guest, "leak")
        time.sleep(leaks.GROWN)
        write(guest, leaks.KMEMLEAK, "scan")
        write(guest, leaks.KMEMLEAK, "scan")
        kinds = [splat.kind for splat in find_splats(logged(guest))]
        assert kinds == [SplatKind.KMEMLEAK]
        said = guest.channel.request("read_file", {"path": leaks.KMEMLEAK}, LIMIT)["text"]
        print(said)
        assert "splat_leak" in said
        assert all(leaks.is_of(one, ("splat",)) for one in leaks.records(said))

        guest.channel.request("module_unload", {"name": "splat", "timeout": LIMIT}, LIMIT)
        said = guest.channel.request("read_file", {"path": leaks.KMEMLEAK}, LIMIT)["text"]
        print(said)
        assert "splat_leak" not in said
        assert leaks.records(said)
        assert all(leaks.is_of(one, ("splat",)) for one in leaks.records(said))

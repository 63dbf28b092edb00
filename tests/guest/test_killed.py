"""A run that is killed outright leaves nothing that the next one does not clean."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.cache import Cache, tidy
from lab.guest.command import QEMU

CHECKOUT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.guest, pytest.mark.timeout(3600)]

SCENARIO = "overflow/exhausted"
START_LIMIT = 1800.0
"""Seconds until a scenario is under way; image, module and template may have to be made."""
END_LIMIT = 600.0
GONE_LIMIT = 30.0


@contextmanager
def lab_run(results: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A run of its own, in a process of its own."""
    words = ["run", SCENARIO, "--results", str(results), *options]
    command = [sys.executable, "-m", "lab", *words]
    with (results.with_suffix(".log")).open("wb") as log:
        process = subprocess.Popen(command, cwd=CHECKOUT, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def await_true(what: str, test: Callable[[], bool], limit: float) -> None:
    end = time.monotonic() + limit
    while not test():
        assert time.monotonic() < end, f"not within {limit:.0f} s: {what}"
        time.sleep(0.1)


def disks(results: Path) -> list[Path]:
    return [path for path in results.rglob("*") if path.suffix in (".raw", ".qcow2")]


def in_a_step(results: Path) -> bool:
    """Whether the scenario has begun with its steps."""
    return any('"StepFinished"' in path.read_text() for path in results.glob("*/events.jsonl"))


def emulators(folder: Path) -> list[int]:
    """The processes of guests whose files are below a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if QEMU.encode() in words and str(folder).encode() in words:
            found.append(int(path.parent.name))
    return found


def parent(processes: list[int]) -> int | None:
    """The process that started the first of these, unless that has ended."""
    try:
        status = Path(f"/proc/{processes[0]}/status").read_text()
    except (IndexError, OSError):
        return None
    return int(status.partition("PPid:")[2].split()[0])


def test_a_killed_run_is_cleaned_up_by_the_next_and_disturbs_no_other(tmp_path: Path) -> None:
    killed, other, after = (tmp_path / name for name in ("killed", "other", "after"))
    with lab_run(killed) as victim, lab_run(other) as neighbour:
        await_true("both in a step", lambda: in_a_step(killed) and in_a_step(other), START_LIMIT)
        assert len(disks(killed)) == 3
        assert emulators(killed)
        os.kill(victim.pid, signal.SIGKILL)
        victim.wait()
        await_true("the guest is gone", lambda: not emulators(killed), GONE_LIMIT)
        assert neighbour.wait(END_LIMIT) == 0, other.with_suffix(".log").read_text()
    assert disks(other) == []
    with lab_run(after) as next_one:
        assert next_one.wait(END_LIMIT) == 0, after.with_suffix(".log").read_text()
    assert disks(killed) == disks(after) == []
    assert list(killed.glob(f"*/{SCENARIO}/console.log")), "the evidence stays"


def test_a_killed_build_is_cleaned_up(tmp_path: Path) -> None:
    source = tmp_path / "module"
    shutil.copytree(CHECKOUT / "guest_module", source)
    with (source / "main.c").open("a") as file:
        file.write(f"/* Never built before: {tmp_path} */\n")
    cache = Cache()

    def builders() -> list[Path]:
        """The scratch folders in which guests that are children of this run build."""
        found = (cache.root / "aside").glob("builder.*")
        return [one for one in found if parent(emulators(one)) == victim.pid]

    with lab_run(tmp_path / "results", "--module", str(source)) as victim:
        await_true("a builder", lambda: len(builders()) == 1, START_LIMIT)
        (mine,) = builders()
        victim.kill()
        victim.wait()
    await_true("the builder is gone", lambda: not emulators(mine), GONE_LIMIT)
    tidy(cache)
    assert not mine.exists()

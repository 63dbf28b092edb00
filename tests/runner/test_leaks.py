"""What kmemleak says of the module, and of others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lab.runner import leaks
from lab.runner.verdict import ScenarioResult, Verdict

from . import fake_kernel
from .conftest import CYCLE
from .fake_guest import Agent

RunOne = Callable[..., ScenarioResult]

OTHERS = """\
unreferenced object 0xffff88800a0b4e00 (size 256):
  comm "swapper/0", pid 1, jiffies 4294667300 (age 60.000s)
  backtrace:
    [<ffffffff8121c3d7>] kmalloc_trace+0x27/0xe0
    [<ffffffff82b41a9f>] acpi_init+0x1a/0x30
"""
OURS = """\
unreferenced object 0xffff88800f7a3000 (size 64):
  comm "python3", pid 167, jiffies 4294700000 (age 12.000s)
  backtrace:
    [<ffffffff8121c3d7>] kmalloc_trace+0x27/0xe0
    [<ffffffffa0012345>] region_new+0x25/0x90 [blksnap]
"""

LOADER = """\
    [<ffffffffa0312345>] device_add+0x25/0x90 [null_blk]
"""
UNLOADED = OURS.replace("region_new+0x25/0x90 [blksnap]", "0xffffffffa0012345")


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Gives the fake kernel kmemleak, and says what that finds."""
    monkeypatch.setattr(leaks, "GROWN", 0.0)

    def say(text: str) -> None:
        monkeypatch.setattr(fake_kernel, "LEAKS", text)

    return say


def test_records_are_told_apart() -> None:
    first, second = leaks.records("kmemleak says\n" + OTHERS + OURS)
    assert (len(first), len(second)) == (5, 5)
    assert "acpi_init" in first[-1]
    assert leaks.records("") == []


@pytest.mark.parametrize("lost", [OURS, UNLOADED])
def test_memory_that_the_module_lost_fails(
    run_one: RunOne, says: Callable[[str], None], lost: str
) -> None:
    says(OTHERS + lost)
    result = run_one(CYCLE)
    assert result.verdict is Verdict.FAILED
    assert "no memory lost: kmemleak: the module lost 1 objects" in result.reason
    assert any("a0012345" in line for line in result.findings[0].detail)
    assert len(result.findings) == 1


def test_memory_that_is_lost_when_the_module_goes_fails(
    run_one: RunOne, says: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    says(OTHERS)
    unload = Agent.op_module_unload

    def loses(guest: Agent, name: str, **rest: Any) -> Any:
        guest.kernel.leaks = OTHERS + UNLOADED
        return unload(guest, name, **rest)

    monkeypatch.setattr(Agent, "op_module_unload", loses)
    result = run_one(CYCLE)
    assert result.verdict is Verdict.FAILED
    assert "no memory lost: kmemleak: the module lost 1 objects" in result.reason
    assert len(result.findings) == 1


def test_a_debug_kernel_without_kmemleak_is_an_error(run_one: RunOne) -> None:
    assert run_one(CYCLE).verdict is Verdict.PASSED
    result = run_one(CYCLE, kernels=("6.1-debug",))
    assert result.verdict is Verdict.ERROR
    assert "has no /sys/kernel/debug/kmemleak" in result.reason


def test_code_that_was_the_modules_is_known_by_its_place() -> None:
    said = (
        "loop 40960 0 - Live 0xffffffffa0300000\n"
        "blksnap 200704 1 - Live 0xffffffffa0000000 (OE)\n"
        "bdevfilter 32768 2 blksnap, Live 0xffffffffa0100000 (OE)\n"
    )
    code = leaks.code_of(said, ("blksnap", "bdevfilter"))
    assert [place.start for place in code] == [0xFFFFFFFFA0000000, 0xFFFFFFFFA0100000]
    (record,) = leaks.records(UNLOADED + LOADER)
    assert leaks.is_of(record, ("blksnap",), code)
    assert not leaks.is_of(record, ("blksnap",), code[1:])


@pytest.mark.parametrize("lost", [OTHERS, UNLOADED + LOADER])
def test_what_others_lost_is_not_our_business(
    run_one: RunOne, says: Callable[[str], None], lost: str
) -> None:
    says(lost)
    assert run_one(CYCLE).verdict is Verdict.PASSED

"""Progress in a pipe: a line for each stage, and now and then one while it lasts."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import estimates
from lab.cli import progress
from lab.cli.progress import ProgressLine
from lab.image.kernel_build import OBJECTS, _Teller
from lab.progress import EVERY, Progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[float]:
    """A clock that stands until the test moves it; nothing is known of earlier times."""
    now = [1000.0]
    monkeypatch.setenv("BLKSNAP_LAB_CACHE", str(tmp_path))
    for module in (progress, estimates):
        monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_a_kernel_that_is_compiled_for_half_an_hour_tells_each_minute_how_far_it_is(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = 1800.0
    with ProgressLine("6.1-debug") as line:
        line(Progress("kernel", "configuring", 0.05))
        tell = _Teller(line)
        for number in range(OBJECTS):
            clock[0] += seconds / OBJECTS
            tell(f"  CC      mm/file{number}.o")
            tell("  a line about something else")
    first, *later = capsys.readouterr().err.splitlines()
    assert first == "kernel: configuring"
    assert seconds / EVERY - 2 <= len(later) <= seconds / EVERY
    assert all(one.startswith("kernel ") and "%: compiled " in one for one in later)
    middle = later[len(later) // 2]
    assert "files, mm/file" in middle
    assert "about 14 min left" in middle or "about 15 min left" in middle
    assert "\x1b" not in middle


def test_short_stages_are_a_line_each(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with ProgressLine() as line:
        for stage in ("image", "module"):
            for number in range(50):
                clock[0] += 1.0
                line(Progress(stage, f"step {number}", number / 50))
    assert capsys.readouterr().err.splitlines() == ["image: step 0", "module: step 0"]


def test_nothing_is_told_while_nothing_changes(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with ProgressLine() as line:
        for _ in range(10):
            clock[0] += EVERY
            line(Progress("cache", "waiting for another process"))
    assert len(capsys.readouterr().err.splitlines()) == 1

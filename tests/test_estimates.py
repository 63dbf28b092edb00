"""Estimates: learnt from the last few times, kept between runs, never a reason for an error."""

from pathlib import Path

import pytest

from lab import estimates
from lab.estimates import KEPT, Estimates, StageClock, left_text, rough
from lab.progress import Progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands until the test moves it."""
    now = [1000.0]
    monkeypatch.setattr(estimates.time, "monotonic", lambda: now[0])
    return now


def test_the_last_few_times_count_and_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "new" / "times.json"
    for seconds in (1000.0, *(10.0 + n for n in range(KEPT))):
        Estimates(path).took("image 6.1", seconds)
    assert Estimates(path).usual("image 6.1") == 12.0
    assert Estimates(path).usual("image 6.12") is None


def test_two_processes_learn_side_by_side(tmp_path: Path) -> None:
    one, two = (Estimates(tmp_path / "times.json") for _ in range(2))
    one.took("a", 1.0)
    two.took("b", 2.0)
    one.took("c", 3.0)
    assert [Estimates(tmp_path / "times.json").usual(name) for name in "abc"] == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1}', '{"a": ["x"]}', "null"])
def test_a_broken_file_is_as_good_as_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "times.json"
    path.write_text(text)
    assert Estimates(path).usual("a") is None
    Estimates(path).took("a", 4.0)
    assert Estimates(path).usual("a") == 4.0


def test_a_file_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    times = Estimates(tmp_path / "file" / "times.json")
    times.took("a", 4.0)
    assert times.usual("a") == 4.0


def test_a_stage_is_learnt_when_the_next_begins_and_told_the_next_time(clock: list[float]) -> None:
    times = Estimates()
    stages = StageClock(times, "6.1")
    assert stages.see(Progress("image", "downloading"))
    clock[0] += 60
    assert not stages.see(Progress("image", "installing"))
    clock[0] += 40
    assert stages.see(Progress("cache", "waiting"))
    clock[0] += 500
    assert stages.see(Progress("module", "compiling"))
    clock[0] += 20
    stages.end()
    assert (times.usual("image 6.1"), times.usual("module 6.1")) == (100.0, 20.0)
    assert times.usual("cache 6.1") is None
    stages.see(Progress("image", "downloading"))
    clock[0] += 30
    assert stages.left() == 70.0
    clock[0] += 100
    assert stages.left() == 0.0


def test_a_stage_that_was_never_seen_is_estimated_by_how_far_it_is(clock: list[float]) -> None:
    stages = StageClock(Estimates(), "6.1")
    stages.see(Progress("image", "downloading"))
    clock[0] += 30
    assert stages.left() is None
    assert stages.left(0.01) is None
    assert stages.left(0.25) == 90.0


def test_the_same_stage_of_another_kernel_is_another_one(clock: list[float]) -> None:
    times = Estimates()
    stages = StageClock(times)
    stages.see(Progress("image", ""), "6.1")
    clock[0] += 5
    assert stages.see(Progress("image", ""), "6.12")
    clock[0] += 7
    stages.end()
    assert (times.usual("image 6.1"), times.usual("image 6.12")) == (5.0, 7.0)


def test_times_are_told_as_precisely_as_they_are_known() -> None:
    words = [rough(seconds) for seconds in (0.2, 7.4, 42.0, 94.0, 96.0, 720.0, 9000.0)]
    assert words == ["1 s", "7 s", "40 s", "90 s", "2 min", "12 min", "2 h"]
    assert [left_text(None), left_text(0.0), left_text(42.0)] == ["", "", ", about 40 s left"]

"""Programs of the host: output, failures, limits."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.process import CommandFailed, run


def test_output_and_errors_come_back_in_order() -> None:
    assert (
        run(["sh", "-c", "echo one; echo two >&2; echo three"], timeout=10) == "one\ntwo\nthree\n"
    )


def test_lines_are_seen_as_they_come() -> None:
    lines: list[str] = []
    run(["sh", "-c", "echo a; echo b"], timeout=10, on_line=lines.append)
    assert lines == ["a", "b"]


def test_a_failure_carries_command_status_and_output() -> None:
    with pytest.raises(CommandFailed) as caught:
        run(["sh", "-c", "echo because; exit 7"], timeout=10)
    assert caught.value.status == 7
    assert caught.value.output == "because\n"
    assert "because" in str(caught.value)


def test_the_limit_ends_a_program_and_its_children(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with pytest.raises(CommandFailed) as caught:
        run(["sh", "-c", f"sleep 60 & echo $! >{pid_file}; wait"], timeout=3)
    assert caught.value.status is None
    # Killed already, but on a busy machine not scheduled yet to notice.
    wait_for(lambda: has_ended(int(pid_file.read_text())))


@pytest.mark.parametrize("stubborn", [False, True])
def test_what_is_ended_can_clean_up_and_cannot_go_on(
    stubborn: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.process.GRACE", 2.0)
    pid_file, cleaned = tmp_path / "pid", tmp_path / "cleaned"
    trap = "" if stubborn else f"sleep 0.5; touch {cleaned}; exit"
    # The shell that was asked for ends at once, and leaves the one that cleans up to itself.
    child = f"trap '{trap}' TERM; echo $$ >{pid_file}; while :; do sleep 0.1; done"
    with pytest.raises(CommandFailed):
        run(["sh", "-c", 'sh -c "$0" & wait', child], timeout=3)
    assert cleaned.exists() != stubborn
    wait_for(lambda: has_ended(int(pid_file.read_text())))


def test_the_environment_is_added_to() -> None:
    assert run(["sh", "-c", "echo $EXTRA $HOME"], timeout=10, env={"EXTRA": "1"}) == (
        f"1 {os.environ.get('HOME', '')}".rstrip() + "\n"
    )


def test_a_program_is_asked_to_end_when_its_lab_is_killed(tmp_path: Path) -> None:
    told = tmp_path / "told"
    script = f"trap 'echo cleaned >{told}; exit' TERM; echo $$ >{told}; while :; do sleep 0.1; done"
    lab = f"from lab.process import run; run(['sh', '-c', {script!r}], timeout=60)"
    with subprocess.Popen([sys.executable, "-c", lab]) as process:
        wait_for(lambda: told.exists() and told.read_text().strip().isdigit())
        process.kill()
    wait_for(lambda: told.read_text() == "cleaned\n")


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or waits only to be collected by its parent."""
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_for(test: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not test():
        assert time.monotonic() < end
        time.sleep(0.05)

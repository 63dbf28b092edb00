"""Errors: told in a line with what mends them; a traceback only for who asks for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BROKEN = """
import sys, threading, logging
from lab.cli import catalogue, main
from lab.errors import LabError

def broken(*_arguments, **_options):
    logging.getLogger("paramiko.transport").error("a library's own words")
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()
    raise {error}

catalogue.load_folder = broken
sys.argv = ["blksnap-lab", {options} "list"]
main.main()
"""


def run(error: str, options: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BROKEN.format(error=error, options=options)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        ("LabError('it is so [x]', 'do this')", 4, ["error: it is so [x]", "remedy: do this"]),
        ("KeyError('no such key')", 4, ["the lab failed: KeyError: 'no such key'", "--debug"]),
        ("OSError(28, 'No space')", 4, ["No space", "--debug"]),
    ],
)
def test_no_error_shows_a_traceback_unless_asked_for(
    error: str, status: int, told: list[str]
) -> None:
    quiet = run(error)
    assert quiet.returncode == status
    for text in told:
        assert text in quiet.stderr
    assert "Traceback" not in quiet.stderr
    assert "library's own words" not in quiet.stderr
    assert "ZeroDivisionError" not in quiet.stderr
    loud = run(error, options='"--debug",')
    assert loud.returncode == status
    for text in ("Traceback", "library's own words", "ZeroDivisionError"):
        assert text in loud.stderr


@pytest.mark.parametrize("words", ["run", "check", "replay", "static --module", "run --resume"])
def test_a_name_that_no_file_can_have_is_bad_usage(words: str) -> None:
    argv = [sys.executable, "-m", "lab", *words.split(), "x" * 256]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: File name too long: ")
    assert "x..." in done.stderr
    assert "remedy: " in done.stderr


def test_who_interrupts_a_command_is_told_nothing() -> None:
    done = run("KeyboardInterrupt")
    assert (done.returncode, done.stderr) == (130, "")


def test_a_pipe_that_is_closed_is_no_failure_of_the_lab() -> None:
    program = Path(sys.executable).with_name("blksnap-lab")
    script = f"set -o pipefail; {program} list | head -n 1"
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""

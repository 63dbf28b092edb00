"""The program `blksnap-lab` as it is installed."""

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path


def test_the_installed_program_is_the_command_line() -> None:
    (found,) = entry_points(group="console_scripts", name="blksnap-lab")
    assert callable(found.load())


def test_the_installed_program_starts() -> None:
    program = Path(sys.executable).with_name("blksnap-lab")
    out = subprocess.check_output([program, "--help"], text=True, timeout=60)
    assert "run" in out
    assert "shell" in out

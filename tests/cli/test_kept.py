"""A kept guest is opened as it was kept: options for fresh ones are refused."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("command", ["shell", "gdb", "console"])
@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--kernel", "6.12"), "--kernel"),
        (("--memory", "2GiB", "--disk", "a=1MiB"), "--disk, --memory"),
        (("--module", str(ROOT / "guest_module")), ""),
    ],
)
def test_options_of_fresh_guests_are_refused(
    command: str, options: tuple[str, ...], named: str, tmp_path: Path
) -> None:
    argv = [sys.executable, "-m", "lab", command, "--kept", str(tmp_path), *options]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert (f"{named}: a kept guest" in ended.stderr) == bool(named)
    assert "Traceback" not in ended.stderr

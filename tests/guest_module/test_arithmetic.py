"""The module's pure arithmetic, run in user space under the sanitizers.

Each ``guest_module/test/*_test.c`` is a program that is silent and ends with 0 when all is right.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

MODULE = Path(__file__).resolve().parents[2] / "guest_module"
PROGRAMS = sorted((MODULE / "test").glob("*_test.c"))
FLAGS = (
    "-std=gnu11",
    "-O1",
    "-g",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
)


def test_there_are_programs() -> None:
    assert PROGRAMS


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler (gcc) here")
@pytest.mark.parametrize("source", PROGRAMS, ids=lambda source: source.stem)
def test_arithmetic_holds_under_sanitizers(source: Path, tmp_path: Path) -> None:
    program = tmp_path / source.stem
    built = subprocess.run(
        ["gcc", *FLAGS, "-o", program, source], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    ran = subprocess.run([program], capture_output=True, text=True, check=False, timeout=60)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")

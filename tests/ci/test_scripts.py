"""The scripts that set the machine up and run the lab leave the caller's folder as it is."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
PYTHON = '#!/bin/sh\necho "$PWD" "$@"\n'


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """One whose environment is there already; its Python tells where it is and what it is given."""
    top = tmp_path / "check out"
    shutil.copytree(CHECKOUT / "ci", top / "ci")
    (top / "lab/data").mkdir(parents=True)
    (top / "lab/data/host-programs.txt").touch()
    (top / "pyproject.toml").write_text("[project]\n")
    version = subprocess.run(["python3", "--version"], capture_output=True, check=True).stdout
    key = hashlib.sha256(version + (top / "pyproject.toml").read_bytes()).hexdigest()
    (top / ".venv/bin").mkdir(parents=True)
    (top / ".venv/made-from").write_text(f"{key}\n")
    (top / ".venv/bin/python").write_text(PYTHON)
    (top / ".venv/bin/python").chmod(0o755)
    return top


@pytest.mark.parametrize(
    ("script", "given"),
    [
        ("lab", "-P -m lab list --results x"),
        ("scenarios", "-P -m lab run list --results x"),
    ],
)
@pytest.mark.parametrize("way", ["absolute", "relative"])
def test_relative_paths_are_those_of_the_caller(
    script: str, given: str, way: str, checkout: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    base = checkout if way == "absolute" else Path("..") / checkout.name
    words = [str(base / "ci" / script), "list", "--results", "x"]
    done = subprocess.run(words, cwd=elsewhere, capture_output=True, text=True, check=False)
    assert done.stdout == f"{elsewhere} {given}\n", done.stderr


def test_what_fails_while_the_machine_is_set_up_ends_it_with_its_status(checkout: Path) -> None:
    old = checkout / "python3"
    old.write_text('#!/bin/sh\ncase "$*" in *version*) exit 1 ;; esac\n')
    old.chmod(0o755)
    path = {"PATH": f"{checkout}:/usr/bin:/bin"}
    done = subprocess.run([checkout / "ci/lab"], env=path, capture_output=True, check=False)
    assert done.returncode == 3
    assert done.stdout == b""


def test_where_there_is_no_apt_get_what_is_missing_is_named(checkout: Path) -> None:
    (checkout / "lab/data/host-programs.txt").write_text("no-such-program its-package all tests\n")
    programs = checkout / "programs"
    programs.mkdir()
    for name in ("bash", "python3", "dirname", "id", "sort", "tr", "newuidmap"):
        (programs / name).symlink_to(shutil.which(name) or "/bin/true")
    done = subprocess.run(
        [checkout / "ci/lab"], env={"PATH": str(programs)}, capture_output=True, check=False
    )
    assert done.returncode == 3
    assert b"its-package" in done.stderr


SLOW_PYTHON = """#!/bin/sh
case "$*" in
--version) echo Python 3.11 ;;
"-m venv .venv")
    mkdir -p .venv/bin && cp "$0" .venv/bin/python
    printf '#!/bin/sh\\necho begin >>log; sleep 1; echo end >>log\\n' >.venv/bin/pip
    chmod +x .venv/bin/pip
    ;;
"-P -m lab") test -x .venv/bin/pip ;;
esac
"""


def test_two_that_begin_at_once_make_one_environment(checkout: Path) -> None:
    shutil.rmtree(checkout / ".venv")
    slow = checkout / "python3"
    slow.write_text(SLOW_PYTHON)
    slow.chmod(0o755)
    path = {"PATH": f"{checkout}:/usr/bin:/bin"}
    both = [subprocess.Popen([checkout / "ci/lab"], cwd=checkout, env=path) for _ in range(2)]
    assert [one.wait(60) for one in both] == [0, 0]
    assert (checkout / "log").read_text().split() == ["begin", "end"]

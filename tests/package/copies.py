"""Copies of the checkout, and commands that are run away from it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PARTS = ("lab", "guest_module", "scenarios", "docs", "examples", "LICENSES", "ci")
FILES = ("pyproject.toml", "MANIFEST.in", "README.md", "CHANGELOG.md", "REUSE.toml")
MADE = ("__pycache__", "*.egg-info", "*.pyc")
LIMIT = 600.0


def copy_checkout(target: Path) -> None:
    """Copy what belongs to the project, but its tests."""
    for part in PARTS:
        ignore = shutil.ignore_patterns(*MADE)
        shutil.copytree(CHECKOUT / part, target / part, symlinks=True, ignore=ignore)
    for file in FILES:
        shutil.copy(CHECKOUT / file, target / file)


def said(*command: str | Path, folder: Path, limit: float = LIMIT, **variables: str) -> str:
    """What a command prints, run in a folder with nothing of this Python's environment."""
    ours = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL"))}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env={**ours, **variables},
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout

"""`kernel series` makes the patch series anew, or tells whether it would."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab.cli.main import app
from lab.data import data_folder


@pytest.fixture
def module(tmp_path: Path) -> Path:
    return Path(shutil.copytree(data_folder("guest_module"), tmp_path / "module"))


def told(module: Path, *words: str) -> tuple[int, list[str]]:
    done = CliRunner().invoke(app, ["kernel", "series", "--module", str(module), *words])
    return done.exit_code, done.output.splitlines()


def test_what_drifted_is_told_and_made_anew(module: Path) -> None:
    assert told(module, "--check") == (0, ["current"])
    (module / "sysfs.c").write_text((module / "sysfs.c").read_text() + "/* more */\n")
    name = "0010-blksnap-control-node-and-building-it.patch"
    status, lines = told(module, "--check")
    assert (status, lines[0]) == (1, f"6.1/{name}: is not what the sources make")
    assert told(module) == (0, [f"kernel/{release}/{name}" for release in ("6.1", "6.12")])
    assert told(module, "--check") == (0, ["current"])


def test_a_module_without_a_series_is_bad_usage(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("")
    done = CliRunner().invoke(app, ["kernel", "series", "--module", str(tmp_path)])
    assert done.exit_code != 0

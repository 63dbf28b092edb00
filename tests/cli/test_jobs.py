"""How many guests `run` starts at a time if nobody says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab import host
from lab.cli import run
from lab.cli.main import app
from lab.errors import UsageError
from lab.runner.engine import RunSettings
from lab.units import GIB, MIB

SCENARIO = """
summary: a scenario
proves: [K9]
disks: {a: {size: 1MiB}}
steps: [{write: {device: a}}]
"""


@pytest.fixture
def settings_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., RunSettings]:
    """What becomes of the options of a run on a machine with 64 processors and 24 GiB."""
    found: list[RunSettings] = []
    (tmp_path / "g").mkdir()
    (tmp_path / "g" / "a.yaml").write_text(SCENARIO)
    monkeypatch.setattr(host, "processors", lambda: 64)
    monkeypatch.setattr(host, "available_memory", lambda: 24 * GIB)
    monkeypatch.setattr(run, "_run", lambda _chosen, settings, *_: found.append(settings))

    def settings(*words: str) -> RunSettings:
        done = CliRunner().invoke(app, ["run", "--scenarios", str(tmp_path), *words])
        assert done.exit_code == 0, done.output
        return found[-1]

    return settings


def test_there_is_memory_for_all_that_run_at_a_time(
    settings_of: Callable[..., RunSettings], tmp_path: Path
) -> None:
    usual, debug = GIB + host.OVERHEAD, GIB + 512 * MIB + host.OVERHEAD
    assert settings_of().jobs == 24 * GIB // usual
    assert settings_of("--kernel=6.1", "--kernel=6.1-debug").jobs == 24 * GIB // debug
    (tmp_path / "g" / "b.yaml").write_text(f"memory: 3GiB\n{SCENARIO}")
    assert settings_of().jobs == 24 * GIB // (3 * GIB + host.OVERHEAD)
    assert settings_of("--kernel=6.1-debug", "--jobs=40").jobs == 40


def test_memory_that_this_machine_has_not_is_told_of_its_scenario(
    settings_of: Callable[..., RunSettings], tmp_path: Path
) -> None:
    assert settings_of().jobs
    (tmp_path / "g" / "b.yaml").write_text(f"memory: 100TiB\n{SCENARIO}")
    done = CliRunner().invoke(app, ["run", "--scenarios", str(tmp_path)])
    assert isinstance(done.exception, UsageError)
    assert done.exception.what.startswith("scenario g/b needs 100TiB of memory: this machine")


def test_the_run_knows_how_many_processors_its_guests_have(
    settings_of: Callable[..., RunSettings],
) -> None:
    assert settings_of().cpus == 2
    assert settings_of("--cpus=4").cpus == 4

"""`check`: files and folders; one that cannot be read hides no mistakes of others."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab.cli.main import app
from lab.cli.options import SCENARIOS, load_folder
from lab.scenario.mistakes import ScenarioError

RIGHT = "summary: A scenario for a test\nsteps:\n  - check_snapshots: {snapshots: []}\n"
WRONG = RIGHT.replace("summary", "sumary")


def told(*words: str | Path) -> list[str]:
    """The mistakes, or the line that says that there are none."""
    done = CliRunner().invoke(app, ["check", *map(str, words)])
    if isinstance(done.exception, ScenarioError):
        return [f"{Path(one.file).name}: {one.what}" for one in done.exception.mistakes]
    assert done.exception is None
    return done.stdout.splitlines()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "own").mkdir()
    (tmp_path / "own/one.yaml").write_text(RIGHT)
    (tmp_path / "own/two.yaml").write_text(RIGHT)
    return tmp_path


def test_a_folder_or_a_group_is_all_files_below_it(folder: Path) -> None:
    assert told(folder) == told(folder / "own") == ["2 scenarios: no mistakes"]
    assert told("own", "--scenarios", folder) == ["2 scenarios: no mistakes"]
    count = sum(one.group == "cbt" for one in load_folder(SCENARIOS))
    assert told("cbt") == [f"{count} scenarios: no mistakes"]


def test_what_cannot_be_read_is_told_with_all_other_mistakes(folder: Path) -> None:
    (folder / "bad.yaml").write_text(WRONG)
    (folder / "bytes.yaml").write_bytes(b"\xff")
    (folder / "empty").mkdir()
    found = told(folder / "nosuch.yaml", folder / "empty", folder)
    assert found == [
        "bad.yaml: `summary` is missing",
        "bad.yaml: unknown key `sumary`",
        "bytes.yaml: not UTF-8: invalid start byte",
        "*.yaml: cannot be read: No such file or directory",
        "nosuch.yaml: cannot be read: No such file or directory",
    ]


def test_a_scenario_that_no_run_would_find_is_a_mistake(folder: Path) -> None:
    (folder / "own/three.yml").write_text(RIGHT)
    for words in ([folder / "own/three.yml"], [folder], ["--scenarios", folder]):
        assert told(*words) == ["three.yml: no run finds it under this name"]
    done = CliRunner().invoke(app, ["list", "--scenarios", str(folder)])
    assert isinstance(done.exception, ScenarioError)
    assert done.exception.mistakes[0].right == "name it three.yaml"

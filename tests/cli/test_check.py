"""`check` and `list`: files and folders; one that cannot be read hides no mistakes of others."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab.cli import catalogue
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


@pytest.mark.parametrize("name", ["own/one", "one", "own/one.yaml"])
def test_a_scenario_may_be_named_as_for_a_run(folder: Path, name: str) -> None:
    assert told(name, "--scenarios", folder) == ["1 scenario: no mistakes"]
    (folder / "own/one.yaml").write_text(WRONG)
    assert "one.yaml: unknown key `sumary`" in told(name, "--scenarios", folder)


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


SUMMARY = (
    "A summary of a hundred characters, which is as long as those of our own scenarios are, or"
)
LONG = RIGHT.replace("A scenario for a test", f"{SUMMARY} longer") + "proves: [K18, K19]\n"


def test_in_a_pipe_each_scenario_is_a_line(folder: Path) -> None:
    (folder / "own/two.yaml").write_text(LONG)
    done = CliRunner().invoke(app, ["list", "--scenarios", str(folder)])
    assert done.stdout.splitlines() == [
        "own/one  A scenario for a test",
        f"own/two  {SUMMARY} longer  K18 K19",
    ]


def test_a_terminal_has_names_with_summaries_below_as_wide_as_it_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "own/two.yaml").write_text(LONG)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(catalogue, "_in_terminal", lambda: True)
    done = CliRunner().invoke(app, ["list", "--scenarios", str(folder)])
    lines = done.stdout.splitlines()
    assert lines[:3] == ["own/one", "    A scenario for a test", "own/two  K18 K19"]
    assert len(lines) > 4
    assert all(line.startswith("    ") and len(line) <= 80 for line in lines[3:])
    assert " ".join(line.strip() for line in lines[3:]) == f"{SUMMARY} longer"

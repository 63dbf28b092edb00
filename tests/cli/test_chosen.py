"""Which scenarios the words after `run` and `list` mean: names, or the files that they name."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab.cli.main import app
from lab.errors import UsageError
from lab.scenario.mistakes import ScenarioError

RIGHT = "summary: A scenario for a test\nsteps:\n  - check_snapshots: {snapshots: []}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of scenarios, and below `copy` an edited copy of one; the current one is above."""
    for path in ("scenarios/cbt/one", "scenarios/cbt/two", "scenarios/fs/one", "copy/cbt/one"):
        file = tmp_path / f"{path}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(RIGHT)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "scenarios"


def listed(folder: Path, *words: str) -> list[str]:
    done = CliRunner().invoke(app, ["list", "--scenarios", str(folder), *words])
    if done.exception is not None:
        raise done.exception
    return [line.split()[0] for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("scenarios/cbt/one.yaml", "cbt/one"),
        ("./copy/../scenarios/cbt/one.yaml", "cbt/one"),
        ("cbt/one.yaml", "cbt/one"),
        ("cbt/one", "cbt/one"),
        ("one", "cbt/one fs/one"),
        ("cbt", "cbt/one cbt/two"),
        ("cbt/", "cbt/one cbt/two"),
        ("scenarios/cbt", "cbt/one cbt/two"),
        ("./scenarios/cbt/", "cbt/one cbt/two"),
        ("scenarios", "cbt/one cbt/two fs/one"),
        ("cbt/*.yaml", "cbt/one cbt/two"),
    ],
)
def test_a_path_means_what_is_there(folder: Path, word: str, names: str) -> None:
    assert listed(folder, word) == names.split()


@pytest.mark.parametrize("word", ["copy/cbt/one.yaml", "copy/cbt"])
def test_another_file_of_the_same_name_is_refused(folder: Path, word: str) -> None:
    with pytest.raises(UsageError, match=f"^{word} is not in ") as caught:
        listed(folder, word)
    assert "--scenarios DIR" in str(caught.value.remedy)


@pytest.mark.parametrize("word", ["nosuch/cbt/one.yaml", "nosuch/cbt/one.yml", "one.yaml"])
def test_a_file_that_is_not_there_is_told(folder: Path, word: str) -> None:
    with pytest.raises(UsageError, match=f"^there is no {word}"):
        listed(folder, word)


def test_a_scenario_is_meant_where_a_folder_is_called_like_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = folder.parent / "results"
    (results / "cbt/one").mkdir(parents=True)
    monkeypatch.chdir(results)
    assert listed(folder, "cbt/one") == ["cbt/one"]
    words = ["check", "--scenarios", str(folder), "cbt/one"]
    assert CliRunner().invoke(app, words).stdout == "1 scenario: no mistakes\n"


def test_a_group_in_a_folder_that_is_not_there_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="no scenario fits name 'typo/cbt'"):
        listed(folder, "typo/cbt")


def test_a_folder_that_is_called_like_a_group_is_not_taken_for_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent / "copy")
    with pytest.raises(UsageError, match=r"^cbt is not in "):
        listed(folder, "cbt")
    assert listed(folder, "--group", "cbt") == ["cbt/one", "cbt/two"]


def test_a_broken_file_stops_only_what_it_may_belong_to(folder: Path) -> None:
    (folder / "fs/two.yaml").write_text("sumary: A scenario with a mistake\n")
    assert listed(folder, "cbt/two") == ["cbt/two"]
    assert listed(folder, "scenarios/cbt") == ["cbt/one", "cbt/two"]
    assert listed(folder, "--group", "cbt", "one") == ["cbt/one"]
    with pytest.raises(UsageError, match="no scenario fits name 'nosuch'"):
        listed(folder, "nosuch", "cbt")
    for words in ([], ["two"], ["fs"], ["--rule", "K1"]):
        with pytest.raises(ScenarioError):
            listed(folder, *words)

"""Folders of runs that cannot be written: told with the remedy, as something the machine lacks."""

from pathlib import Path

import pytest

from lab.errors import EnvironmentLack
from lab.runner.folder import LATEST, new_run_folder


def test_results_that_cannot_be_written_are_a_lack_with_a_remedy(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("no folder")
    for results in (file, file / "below"):
        with pytest.raises(EnvironmentLack, match=r"cannot write in") as caught:
            new_run_folder(results)
        assert "--results" in str(caught.value)
    assert file.read_text() == "no folder"


def test_runs_begun_in_one_second_have_folders_of_their_own(tmp_path: Path) -> None:
    first, second = new_run_folder(tmp_path), new_run_folder(tmp_path)
    assert first.path != second.path
    assert (tmp_path / LATEST).resolve() == second.path

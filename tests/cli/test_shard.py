"""A shard that is left with no scenario: green, and a JUnit file that says that there is none."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab.cli.main import app

SCENARIO = "summary: Nothing at all is done\nsteps: [{name: x, exec: {argv: ['true']}}]\n"


@pytest.fixture
def scenarios(tmp_path: Path) -> Path:
    folder = tmp_path / "scenarios" / "g"
    folder.mkdir(parents=True)
    for name in "ab":
        (folder / f"{name}.yaml").write_text(SCENARIO)
    return folder.parent


def test_an_empty_shard_is_green_and_leaves_a_valid_file_without_cases(
    scenarios: Path, tmp_path: Path
) -> None:
    junit = tmp_path / "deep" / "junit.xml"
    words = ["--scenarios", str(scenarios), "--shard", "3/4", "--junit", str(junit)]
    done = CliRunner().invoke(app, ["run", *words, "--results", str(tmp_path / "results")])
    assert done.exit_code == 0
    assert done.output == "green: shard 3/4 has nothing to run, the others have all 2 scenarios\n"
    root = ET.parse(junit).getroot()
    assert root.tag == "testsuites"
    assert len(root) == 0
    assert [root.get(key) for key in ("tests", "failures", "errors", "skipped")] == ["0"] * 4
    assert not (tmp_path / "results").exists()


def test_it_needs_no_junit_file(scenarios: Path) -> None:
    done = CliRunner().invoke(app, ["run", "--scenarios", str(scenarios), "--shard", "4/4"])
    assert done.exit_code == 0

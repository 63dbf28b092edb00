"""scenarios/README.md is what the models say, and leaves nothing out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab import docs
from lab.cli.main import app
from lab.cli.options import SCENARIOS, load_folder
from lab.docs import EXAMPLE, chapters, parts, scenario_page
from lab.runner.checks import ALL
from lab.runner.verbs import EXECUTORS
from lab.scenario.devices import Device
from lab.scenario.load import parse_scenario
from lab.scenario.mistakes import ScenarioError
from lab.scenario.scenario import Scenario
from lab.scenario.step import VERBS
from lab.scenario.steps_load import StartLoad

PAGE = SCENARIOS / "README.md"
AGAIN = "run `blksnap-lab docs > scenarios/README.md` and commit it"


@pytest.fixture(scope="module")
def page() -> str:
    done = CliRunner().invoke(app, ["docs"])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_page_is_what_the_command_prints(page: str) -> None:
    assert PAGE.is_file(), AGAIN
    same = PAGE.read_text(encoding="utf-8") == page
    assert same, f"scenarios/README.md is stale; {AGAIN}"


def test_every_group_says_what_it_is_about() -> None:
    groups = {one.group for one in load_folder(SCENARIOS)}
    silent = [name for name in groups if not (SCENARIOS / name / "README.md").is_file()]
    assert silent == [], "write scenarios/<group>/README.md: what its scenarios are about"


def test_everything_has_a_headline(page: str) -> None:
    headlines = set(re.findall(r"^#+ (.*)$", page, re.MULTILINE))
    loads = set(StartLoad.model_fields) - {"name"}
    assert {*VERBS, *EXECUTORS, *loads, *Device.model_fields} <= headlines
    checked = [line.split(" | ")[0].removeprefix("| ") for line in page.splitlines()]
    assert {check.name for check in ALL} <= set(checked)


def test_every_scenario_is_listed_with_what_it_proves(page: str) -> None:
    for one in load_folder(SCENARIOS):
        (line,) = (row for row in page.splitlines() if f"]({one.name}.yaml) |" in row)
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)]
        assert cells[3] == " ".join(one.proves)


def test_everything_that_can_be_written_says_what_it_is() -> None:
    entries = [*(entry for chapter in chapters() for entry in chapter.entries), *parts()]
    entries.append(docs._entry("scenario", Scenario))
    assert [entry.name for entry in entries if not entry.what] == []
    silent = [f"{e.name}.{one.name}" for e in entries for one in e.fields if not one.what]
    assert silent == [], "a Field needs a description"


def test_links_lead_somewhere(page: str) -> None:
    headlines = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headlines}
    assert set(re.findall(r"\]\(#([^)]*)\)", page)) <= anchors
    for path in re.findall(r"\]\(([\w/.-]+\.yaml)\)", page):
        assert (SCENARIOS / path).is_file()


def test_the_worked_example_is_a_scenario_like_the_others(page: str) -> None:
    source = (SCENARIOS / f"{EXAMPLE}.yaml").read_text(encoding="utf-8")
    assert f"```yaml\n{source.rstrip()}\n```" in page
    assert parse_scenario(source, EXAMPLE, "example.yaml").steps


def test_another_folder_gets_its_own_page(tmp_path: Path) -> None:
    text = "summary: 'A scenario | for a test'\nsteps:\n  - check_snapshots: {snapshots: []}\n"
    one = parse_scenario(text, "own/first", "first.yaml")
    page = scenario_page([one], tmp_path)
    assert "A scenario \\| for a test" in page
    assert "(No README.md in this folder says what it is about.)" in page
    assert "runs with all the others" not in page
    (tmp_path / "own").mkdir()
    (tmp_path / "own/README.md").write_text("# own\n\nOf our own.\n")
    assert "## own\n\nOf our own.\n" in scenario_page([one], tmp_path)


def test_the_mistakes_that_are_shown_are_those_of_the_file_that_is_shown(tmp_path: Path) -> None:
    page = (SCENARIOS.parent / "docs/scenarios.md").read_text(encoding="utf-8")
    shown = re.search(r"\$ cat (bad.yaml)\n(.*?)\$ .* check \1\nerror: (.*?)```", page, re.DOTALL)
    assert shown is not None
    file = tmp_path / shown[1]
    file.write_text(shown[2], encoding="utf-8")
    done = CliRunner().invoke(app, ["check", str(file)])
    assert isinstance(done.exception, ScenarioError)
    assert done.exception.what.replace(f"{tmp_path}/", "").split("\n") == shown[3].splitlines()


PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "guest_module/**/*.md", "scenarios/*/README.md")
    for path in SCENARIOS.parent.glob(pattern)
)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(SCENARIOS.parent)))
def test_links_between_pages_lead_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        name, _, anchor = target.partition("#")
        found = (path.parent / name).resolve() if name else path
        assert "://" in target or found.exists(), f"{path}: {target}"
        if anchor:
            headlines = re.findall(r"^#+ (.*)$", found.read_text(encoding="utf-8"), re.MULTILINE)
            known = {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headlines}
            assert anchor in known, f"{path}: {target}"


def test_every_page_of_the_folder_can_be_reached_from_the_readme() -> None:
    readme = (SCENARIOS.parent / "README.md").read_text(encoding="utf-8")
    pages = [path.name for path in (SCENARIOS.parent / "docs").glob("*.md")]
    assert pages
    assert [name for name in pages if f"](docs/{name})" not in readme] == []

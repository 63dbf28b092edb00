"""Scenario files: found below a folder, read, checked."""

from __future__ import annotations

from pathlib import Path

from lab.scenario.check import check
from lab.scenario.mistakes import Mistake, ScenarioError
from lab.scenario.scenario import Scenario
from lab.scenario.variant import choose
from lab.scenario.yaml_tree import parse

SUFFIX = ".yaml"


def find_scenarios(root: Path) -> list[Path]:
    """All scenario files below a folder, in the order of their names; also misnamed ones."""
    return sorted(path for path in root.rglob("*.y*ml") if path.is_file())


def scenario_name(path: Path, root: Path) -> str:
    """The name of the scenario in a file: its path below `root` without ".yaml"."""
    path, root = path.resolve(), root.resolve()
    inside = path.relative_to(root) if path.is_relative_to(root) else Path(path.name)
    return inside.with_suffix("").as_posix()


def parse_scenario(text: str, name: str, file: str, *, long: bool = False) -> Scenario:
    """The scenario in a text; ScenarioError with all that is wrong with it.

    `long`: with the long one of every value that has two.
    """
    scenario, mistakes = check(choose(parse(text, file), long=long), file)
    if scenario is None:
        raise ScenarioError(mistakes)
    return scenario.named(name, text)


def load_scenario(path: Path, root: Path, *, long: bool = False) -> Scenario:
    """The scenario in a file; ScenarioError with all that is wrong with it."""
    text = _read(path)
    return parse_scenario(text, scenario_name(path, root), str(path), long=long)


def _read(path: Path) -> str:
    """The text of a scenario's file."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise _refused(path, f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _refused(path, f"not UTF-8: {error.reason}") from error
    if path.suffix != SUFFIX:
        raise _refused(path, "no run finds it under this name", f"name it {path.stem}{SUFFIX}")
    return text


def _refused(path: Path, what: str, right: str = "") -> ScenarioError:
    return ScenarioError([Mistake(str(path), 1, "", what, right)])


def load_all(paths: list[Path], root: Path, *, long: bool = False) -> list[Scenario]:
    """Several scenarios; ScenarioError with the mistakes of all of them together."""
    scenarios: list[Scenario] = []
    mistakes: list[Mistake] = []
    for path in paths:
        try:
            scenarios.append(load_scenario(path, root, long=long))
        except ScenarioError as error:
            mistakes += error.mistakes
    if mistakes:
        raise ScenarioError(mistakes)
    return scenarios

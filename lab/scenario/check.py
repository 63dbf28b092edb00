"""All checks of a scenario's data: the schema, then names and places, reported together."""

from __future__ import annotations

import copy
import difflib
from typing import Any

from pydantic import ValidationError

from lab.scenario.check_devices import check_devices, check_parameters
from lab.scenario.check_names import suggest
from lab.scenario.check_steps import INVALID, StepChecker
from lab.scenario.explain import explain
from lab.scenario.mistakes import Mistake, Place, spell
from lab.scenario.scenario import Scenario
from lab.scenario.yaml_tree import Tree

STAND_IN = {"name": INVALID, "check_snapshots": {"snapshots": []}}
NAMED = ("disks", "devices")


def check(tree: Tree, file: str) -> tuple[Scenario | None, list[Mistake]]:
    """The scenario of a parsed file, None if it is wrong, and all its mistakes.

    Where the schema finds mistakes, the parts that have them are set aside (and whatever they
    name is not judged) so that the rest is still checked for names and places.
    """
    if not isinstance(tree.data, dict):
        empty = Mistake(file, 1, "", "no mapping of keys", "summary, disks, steps ...")
        return None, tree.mistakes or [empty]
    mistakes = list(tree.mistakes)
    aside: list[Any] = []
    try:
        scenario: Scenario | None = Scenario.model_validate(tree.data)
    except ValidationError as error:
        mistakes += explain(error, Scenario, tree, file)
        scenario = _salvage(tree.data, error, aside)
    if scenario is not None:
        mistakes += _cross_check(scenario, aside, tree, file)
    return (None if mistakes else scenario), mistakes


def _cross_check(scenario: Scenario, aside: list[Any], tree: Tree, file: str) -> list[Mistake]:
    """Mistakes in names and places; `aside`: the parts that have been set aside."""
    excused = frozenset(_words(aside))
    found: dict[tuple[str, str], Mistake] = {}

    def report(place: Place, what: str, right: str) -> None:
        mistake = Mistake(file, tree.line(place), spell(place), what, right)
        found.setdefault((mistake.path, what), mistake)

    known = check_devices(scenario.disks, scenario.devices, excused, report)
    check_parameters(scenario.module, ("module",), report)
    for i, name in enumerate(scenario.fail_each.disks if scenario.fail_each else ()):
        place: Place = ("fail_each", "disks", i)
        if name not in scenario.disks.keys() | excused:
            report(place, f"there is no disk `{name}`", suggest(name, scenario.disks))
        elif name in scenario.disks and scenario.disks[name].log:
            report(place, f"disk `{name}` has a log", "a disk without")
    resized = _words([one for one in aside if _may_resize(one)])
    StepChecker(scenario, known, excused, report, resized=resized).check_all()
    return list(found.values())


def _salvage(data: dict[str, Any], error: ValidationError, aside: list[Any]) -> Scenario | None:
    """The scenario without its wrong parts, which are put into `aside`."""
    data = copy.deepcopy(data)
    for detail in error.errors():
        location = detail["loc"]
        if "steps" in location[:1] and len(location) > 1:
            _replace_step(data, location, aside)
        elif location[:1] and location[0] in NAMED and len(location) > 1:
            part = data.get(str(location[0]))
            removed = part.pop(location[1], None) if isinstance(part, dict) else None
            aside += [str(location[1]), removed] if removed is not None else []
        elif location:
            aside.append(data.pop(str(location[0]), None))
    data.setdefault("summary", "a scenario with mistakes")
    data.setdefault("steps", [STAND_IN])
    try:
        return Scenario.model_validate(data)
    except ValidationError:
        return None


def _replace_step(data: Any, location: tuple[int | str, ...], aside: list[Any]) -> None:
    """Put the stand-in for the innermost step of a location."""
    holder: tuple[Any, Any] | None = None
    for i, part in enumerate(location):
        inside = isinstance(data, list) and isinstance(part, int) and part < len(data)
        if not (inside or (isinstance(data, dict) and part in data)):
            break
        if location[i - 1] == "steps" and isinstance(part, int):
            holder = (data, part)
        data = data[part]
    if holder is not None and holder[0][holder[1]] != STAND_IN:
        aside.append(holder[0][holder[1]])
        holder[0][holder[1]] = STAND_IN


def _may_resize(part: Any) -> bool:
    """Whether a wrong part is, or has in it, as far as one can tell, a step that resizes a disk."""
    if isinstance(part, list):
        return any(map(_may_resize, part))
    if not isinstance(part, dict):
        return False
    keys = [key for key in part if isinstance(key, str)]
    return bool(difflib.get_close_matches("resize", keys)) or any(map(_may_resize, part.values()))


def _words(data: Any) -> set[str]:
    """Every string in some data, keys not counted."""
    if isinstance(data, dict):
        # What verbs mean that do not name another snapshot, or another mark of memory.
        return set().union({"s", "before"}, *(_words(value) for value in data.values()))
    if isinstance(data, list):
        return set().union(*(_words(value) for value in data))
    return {data} if isinstance(data, str) else set()

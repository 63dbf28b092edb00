"""The page that explains the scenario language, made of the models themselves.

Every key, verb, load and device is told by the model that reads it, every automatic check by the
function that makes it, every scenario by its file; the words between are in data/scenarios.md.j2.
"""

from __future__ import annotations

import functools
import inspect
import json
import math
import sys
import typing
from collections.abc import Sequence
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from pydantic import BaseModel

from lab.flavour import Flavour
from lab.image.kernels import BUILT_KERNELS
from lab.runner.checks import ALL
from lab.runner.engine import EMULATION
from lab.scenario.devices import PARAMETER_BOUNDS, Device
from lab.scenario.scenario import Scenario
from lab.scenario.step import VERBS, Step
from lab.scenario.steps_load import StartLoad
from lab.scenario.values import NAME_PATTERN

TEMPLATE = "scenarios.md.j2"
EXAMPLE = "lifecycle/worked-example"
"""The scenario that the page takes apart."""
LINKED = ("Step", "Device", "Disk", "Requires")
"""Models with a chapter of their own, by name."""
STRINGS = {"^/": "path", "^E[A-Z0-9]+$": "errno", NAME_PATTERN: "name"}
"""What strings are called that have to be of some form."""
NAMES = {"boolean": "true, false"}
COUNTS = {2: "two", 3: "three"}
LARGE = 2.0**32
Schema = dict[str, Any]


@dataclass(frozen=True)
class Field:
    """A key: what may stand there, what it is if left out ("" if it must be given), what for."""

    name: str
    kind: str
    default: str
    what: str


@dataclass(frozen=True)
class Entry:
    """Something with keys: a verb, a load, a kind of device, a part of these."""

    name: str
    what: str
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class Chapter:
    """Verbs of one subject."""

    title: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Group:
    """Scenarios in one folder, and what the README.md there says of them."""

    name: str
    what: str
    scenarios: tuple[Scenario, ...]


def scenario_page(scenarios: Sequence[Scenario], folder: Path) -> str:
    """The whole page, in Markdown, of the scenarios in a folder."""
    pages = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    named = {one.name: one for one in scenarios}
    return pages.get_template(TEMPLATE).render(
        groups=groups(scenarios, folder),
        example=named.get(EXAMPLE),
        keys=_entry("scenario", Scenario),
        requires=_entry("requires", _model(Scenario, "requires")),
        disk=_entry("disk", _model(Scenario, "disks")),
        devices=[_entry(name, _model(Device, name)) for name in Device.model_fields],
        chapters=chapters(),
        loads=[
            _entry(name, _model(StartLoad, name))
            for name in StartLoad.model_fields
            if name != "name"
        ],
        parts=parts(),
        checks=[(one.name, _sentences(one.make)) for one in ALL],
        parameters=PARAMETER_BOUNDS,
        emulation=f"{EMULATION:g}",
        slowness=f"{max(kernel.slowness for kernel in BUILT_KERNELS):g}",
        crowded=f"{EMULATION * 2:g}",
        names=[f"`{one.name}`" for one in fields(Flavour) if one.name != "log"],
    )


def groups(scenarios: Sequence[Scenario], folder: Path) -> tuple[Group, ...]:
    """The groups, by name; of one without a README.md it is said that nobody explains it."""
    names = dict.fromkeys(sorted(one.group for one in scenarios))
    return tuple(
        Group(
            name,
            _said_in(folder / name / "README.md"),
            tuple(one for one in scenarios if one.group == name),
        )
        for name in names
    )


def chapters() -> tuple[Chapter, ...]:
    """All verbs by the modules that describe them, whose docstrings are the titles."""
    found: dict[str, list[Entry]] = {}
    for verb in VERBS:
        model = _model(Step, verb)
        said = inspect.getdoc(sys.modules[model.__module__]) or ""
        found.setdefault(said.split("\n")[0].rstrip("."), []).append(_entry(verb, model))
    return tuple(Chapter(title, tuple(entries)) for title, entries in found.items())


def parts() -> tuple[Entry, ...]:
    """Models that stand within others and are told nowhere else."""
    told = {*_headlines(), *LINKED}
    schema = _schema()
    return tuple(
        Entry(name, " ".join(one.get("description", "").split()), _fields(one, schema))
        for name, one in schema["$defs"].items()
        if one.get("type") == "object" and name not in told
    )


@functools.cache
def _schema() -> Schema:
    """Of the whole language; pydantic takes a while to make it."""
    return Scenario.model_json_schema()


@functools.cache
def _headlines() -> dict[str, str]:
    """What the page calls the models of verbs, devices and loads."""
    fields: list[tuple[type[BaseModel], str]] = [(Step, verb) for verb in VERBS]
    fields += [(Device, name) for name in Device.model_fields]
    fields += [(StartLoad, name) for name in StartLoad.model_fields if name != "name"]
    return {_model(holder, name).__name__: name for holder, name in fields}


def _entry(name: str, model: type[BaseModel]) -> Entry:
    schema = _schema()
    own = schema["$defs"].get(model.__name__, schema)
    return Entry(name, _sentences(model), _fields(own, schema))


def _model(holder: type[BaseModel], field: str) -> type[BaseModel]:
    """The model that a field holds, maybe in a dict, or None."""
    todo: list[Any] = [holder.model_fields[field].annotation]
    while todo:
        one = todo.pop()
        if isinstance(one, type) and issubclass(one, BaseModel):
            return one
        todo += typing.get_args(one)
    raise TypeError(f"{holder.__name__}.{field} holds no model")


def _fields(own: Schema, schema: Schema) -> tuple[Field, ...]:
    required = own.get("required", [])
    return tuple(
        Field(
            name,
            _kind(one, schema),
            "" if name in required else _default(one),
            one.get("description") or _said_of(one, schema),
        )
        for name, one in own["properties"].items()
    )


def _default(one: Schema) -> str:
    value = one.get("default")
    if value is None or value in ([], {}) or (isinstance(value, dict) and "$ref" in one):
        return "-"
    return f"`{json.dumps(value)}`".replace('"', "")


def _said_of(one: Schema, schema: Schema) -> str:
    """What the model says that a field refers to."""
    for part in one.get("anyOf", [one]):
        if "$ref" in part:
            said = schema["$defs"][_referred(part)].get("description", "")
            return str(said).split("\n")[0]
    return ""


def _kind(one: Schema, schema: Schema) -> str:
    """What may stand in a place, in words."""
    variants = [part for part in one.get("anyOf", []) if part.get("type") != "null"]
    if any("KiB" in part.get("pattern", "") for part in variants):
        return "size"
    if variants:
        return " or ".join(dict.fromkeys(_kind(part, schema) for part in variants))
    if "$ref" in one:
        name = _referred(one)
        target = schema["$defs"][name]
        if "enum" in target:
            return _kind(target, schema)
        headline = _headlines().get(name, name)
        return f"[{headline}](#{headline.lower()})"
    choices = [one["const"]] if "const" in one else one.get("enum")
    if choices:
        return ", ".join(f"`{value}`" for value in choices)
    return _plain_kind(one, schema)


def _plain_kind(one: Schema, schema: Schema) -> str:
    kind = one.get("type", "anything")
    if kind == "array":
        items = one.get("prefixItems") or [one.get("items", {})]
        count = COUNTS[len(items)] if "prefixItems" in one else "list"
        return f"{count} of: {_kind(items[0], schema)}"
    if kind == "object":
        inner = next(iter(one.get("patternProperties", {}).values()), None)
        return f"name: {_kind(inner, schema)}" if inner else "name: number"
    if kind == "string":
        pattern = one.get("pattern", "")
        return STRINGS.get(pattern, f"text like `{pattern}`" if pattern else "text")
    return ", ".join([NAMES.get(kind, str(kind)), *_bounds(one)])


def _bounds(one: Schema) -> list[str]:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    return [f"{sign} {_number(one[key])}" for key, sign in signs.items() if key in one]


def _number(value: float) -> str:
    """As people write it; large powers of two as such."""
    if value >= LARGE and math.log2(value).is_integer():
        return f"2^{math.log2(value):.0f}"
    return f"{value:.15g}"


def _referred(one: Schema) -> str:
    return str(one["$ref"]).rpartition("/")[2]


def _sentences(what: object) -> str:
    """A docstring in one line."""
    return " ".join((inspect.getdoc(what) or "").split())


def _said_in(readme: Path) -> str:
    """The text of a README.md, without its headline."""
    if not readme.is_file():
        return "(No README.md in this folder says what it is about.)"
    lines = readme.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.startswith("#")).strip()


def _template(name: str) -> str:
    return (resources.files("lab.data") / name).read_text(encoding="utf-8")

"""Values that a scenario has two of: {usual: 100, long: 1000}; which counts is the run's choice.

The usual ones spare an emulated processor; with the long ones a scenario reaches its full numbers.
The choice is made before anything else looks at the data, so any value may have a long one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lab.scenario.yaml_tree import Tree

USUAL, LONG = "usual", "long"


def has_variants(data: Any) -> bool:
    """Whether any value in some data has a long one."""
    if isinstance(data, dict):
        return _is_choice(data) or any(map(has_variants, data.values()))
    return isinstance(data, list) and any(map(has_variants, data))


def choose(tree: Tree, *, long: bool) -> Tree:
    """The same tree with one value where there were two; lines stay those of the file."""
    return replace(tree, data=_chosen(tree.data, LONG if long else USUAL))


def with_choices(schema: Any) -> Any:
    """A JSON Schema that takes {usual: ..., long: ...} for every number and every size too."""
    if isinstance(schema, list):
        return [with_choices(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: with_choices(value) for key, value in schema.items()}
    properties = found.get("properties")
    if isinstance(properties, dict):
        found["properties"] = {name: _either(one) for name, one in properties.items()}
    return found


def _is_choice(data: Any) -> bool:
    return isinstance(data, dict) and set(data) == {USUAL, LONG}


def _chosen(data: Any, which: str) -> Any:
    if isinstance(data, list):
        return [_chosen(one, which) for one in data]
    if not isinstance(data, dict):
        return data
    if _is_choice(data):
        return _chosen(data[which], which)
    return {key: _chosen(value, which) for key, value in data.items()}


def _either(field: Any) -> Any:
    """A field that may have two values, if it is a number or a size."""
    kinds = [one.get("type") for one in field.get("anyOf", [field])]
    if not {"integer", "number"} & set(kinds):
        return field
    told = {
        key: value for key, value in field.items() if key in ("title", "description", "default")
    }
    bare = {key: value for key, value in field.items() if key not in told}
    choice = {
        "type": "object",
        "properties": {USUAL: bare, LONG: bare},
        "required": [USUAL, LONG],
        "additionalProperties": False,
    }
    return {"anyOf": [bare, choice], **told}

"""What a scenario's file says of a step: its arguments as they are written there, in a line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import yaml

LONGEST = 160
"""Characters that are shown."""
INNER = frozenset({"steps", "step", "prepare", "undo", "during"})
"""Arguments that are steps themselves; those that are done have lines of their own."""
_PART = re.compile(r"(\w+)(?:\[(\d+)\])?")


def parsed(source: str) -> object:
    """The file, every value as the words that stand there; None if it is not to be read."""
    try:
        # Not the safe loader: to that `on` is a truth, and 0x10 a number.
        found: object = yaml.load(source, Loader=yaml.BaseLoader)
    except yaml.YAMLError:
        return None
    return found


def arguments(tree: object, path: str, verb: str) -> str:
    """The arguments of the step at a path such as "steps[3].repeat[2].steps[0]"."""
    for name, index in _PART.findall(path):
        tree = tree.get(name) if isinstance(tree, Mapping) else None
        # The number of a round, as in repeat[2], chooses nothing.
        if isinstance(tree, list) and index:
            tree = tree[int(index)] if int(index) < len(tree) else None
    given = tree.get(verb) if isinstance(tree, Mapping) else None
    if isinstance(given, Mapping):
        given = {name: value for name, value in given.items() if name not in INNER}
    text = _flow(given, outer=True)
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def _flow(value: object, *, outer: bool = False) -> str:
    """A value as it may be written in one line."""
    if isinstance(value, Mapping):
        said = ", ".join(f"{name}: {_flow(item)}" for name, item in value.items())
        return said if outer else f"{{{said}}}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(_flow, value))}]"
    return " ".join(str(value or "").split())

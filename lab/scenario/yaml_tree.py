"""YAML with the line of every value; duplicate keys are mistakes.

Plain scalars follow YAML 1.2: only true and false are booleans, so that a key `on` stays a word
and 12:30 or a date a string.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from lab.scenario.mistakes import Mistake, Place, spell


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalar types of YAML 1.2 that scenarios need."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"^(?:true|false)$", "tf"),
    ("int", r"^-?(?:0|[1-9][0-9]*)$", "-0123456789"),
    ("float", r"^-?[0-9]+\.[0-9]+$", "-0123456789"),
    ("null", r"^(?:null|~|)$", ["n", "~", ""]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))


@dataclass
class Tree:
    """A parsed file."""

    data: Any = None
    lines: dict[Place, int] = field(default_factory=dict)
    """Line of each value; of a mapping's value the line of its key."""
    mistakes: list[Mistake] = field(default_factory=list)

    def line(self, place: Place) -> int:
        """The line of a value, or of the nearest thing around it that is there."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


def parse(text: str, file: str) -> Tree:
    """The data of a YAML text; syntax errors and duplicate keys are in `mistakes`."""
    tree = Tree()
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is not None:
            _refuse_cycle(node, ())
            tree.data = _build(loader, node, (), tree, file)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        what = " ".join(part for part in (error.context, error.problem) if part)
        tree.mistakes.append(Mistake(file, line, "", f"not YAML: {what}"))
    except yaml.YAMLError as error:
        tree.mistakes.append(Mistake(file, 1, "", f"not YAML: {error}"))
    finally:
        loader.dispose()
    return tree


def _refuse_cycle(node: yaml.Node, around: tuple[yaml.Node, ...]) -> None:
    """MarkedYAMLError for a node that, by an alias, is within itself."""
    if any(node is one for one in around):
        what = "an anchor that contains itself"
        raise yaml.MarkedYAMLError(problem=what, problem_mark=node.start_mark)
    inner = node.value if isinstance(node, yaml.CollectionNode) else []
    for one in itertools.chain(*inner) if isinstance(node, yaml.MappingNode) else inner:
        _refuse_cycle(one, (*around, node))


def _build(loader: _Loader, node: yaml.Node, place: Place, tree: Tree, file: str) -> Any:
    tree.lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        return [_build(loader, item, (*place, i), tree, file) for i, item in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        return loader.construct_object(node)
    found: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node)
        key = key if isinstance(key, str) else str(key_node.value)
        here = (*place, key)
        line = key_node.start_mark.line + 1
        if key in found:
            first = tree.lines[here]
            tree.mistakes.append(
                Mistake(file, line, spell(here), "key given twice", f"first on line {first}")
            )
            continue
        tree.lines[here] = line
        found[key] = _build(loader, value_node, here, tree, file)
    return found

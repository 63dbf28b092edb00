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

MOST_VALUES = 100_000
"""Of a file, each as often as aliases name it."""
DEEPEST = 100
"""How deeply values may lie in each other."""
_TOO_DEEP = f"nested more than {DEEPEST} deep"
_SHOWN = 40
"""Characters of a value that a mistake names."""


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
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is not None:
            _measure(node, (), {})
            tree.data = _build(loader, node, (), tree, file)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        what = " ".join(part for part in (error.context, error.problem) if part)
        tree.mistakes.append(Mistake(file, line, "", f"not YAML: {what}"))
    except yaml.YAMLError as error:
        tree.mistakes.append(Mistake(file, 1, "", f"not YAML: {error}"))
    except RecursionError:
        tree.mistakes.append(Mistake(file, 1, "", _TOO_DEEP))
    return tree


def _measure(
    node: yaml.Node, around: tuple[yaml.Node, ...], known: dict[int, tuple[int, int]]
) -> tuple[int, int]:
    """How many values a node has, itself among them, and how deeply they lie in each other.

    Each counts as often as aliases name it, and is looked at once. MarkedYAMLError for a node that,
    by an alias, is within itself, and for too many or too deep ones.
    """
    if any(node is one for one in around):
        raise _refused(node, "an anchor that contains itself")
    if id(node) not in known:
        values, depth = 1, 1
        inner = node.value if isinstance(node, yaml.CollectionNode) else []
        for one in itertools.chain(*inner) if isinstance(node, yaml.MappingNode) else inner:
            more, below = _measure(one, (*around, node), known)
            values, depth = values + more, max(depth, below + 1)
        if values > MOST_VALUES:
            raise _refused(node, f"more than {MOST_VALUES} values, those of aliases included")
        if depth > DEEPEST:
            raise _refused(node, _TOO_DEEP)
        known[id(node)] = (values, depth)
    return known[id(node)]


def _refused(node: yaml.Node, what: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=what, problem_mark=node.start_mark)


def _value(loader: _Loader, node: yaml.Node) -> Any:
    """The value of a scalar. MarkedYAMLError also where PyYAML raises whatever comes of it."""
    try:
        return loader.construct_object(node)
    except yaml.YAMLError:
        raise
    except Exception as error:
        kind = node.tag.rpartition(":")[2]
        raise _refused(node, f"{node.value[:_SHOWN]!r} can be read as no {kind}") from error


def _build(loader: _Loader, node: yaml.Node, place: Place, tree: Tree, file: str) -> Any:
    tree.lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        return [_build(loader, item, (*place, i), tree, file) for i, item in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        return _value(loader, node)
    found: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = _value(loader, key_node)
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

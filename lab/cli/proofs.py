"""Which scenarios and which tests in guests prove each rule of the module's contract.

Scenarios say it in `proves:`. Tests say it with a marker, `pytest.mark.proves("K4", "K25")`, on a
test or on one of its parameters. The markers are read from the text of the tests, without running
any of it; so they have to be plain literals.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.errors import UsageError
from lab.scenario.scenario import RULE_COUNT, RULE_PATTERN, Scenario

RULES = tuple(f"K{number}" for number in range(1, RULE_COUNT + 1))
"""All rules of the contract, in their order."""


@dataclass(frozen=True)
class Proofs:
    """What proves a rule: names of scenarios; names of tests, e.g. "test_abi.py[counts]"."""

    scenarios: tuple[str, ...]
    tests: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """Both."""
        return (*self.scenarios, *self.tests)


@dataclass(frozen=True)
class MarkedTest:
    """A test, or one of its parameters, and the rules that its marker names."""

    name: str
    rules: tuple[str, ...]


def proofs(scenarios: Iterable[Scenario], tests: Iterable[MarkedTest]) -> dict[str, Proofs]:
    """Every rule with what proves it, perhaps nothing."""
    chosen, marked = list(scenarios), list(tests)
    return {
        rule: Proofs(
            tuple(one.name for one in chosen if rule in one.proves),
            tuple(one.name for one in marked if rule in one.rules),
        )
        for rule in RULES
    }


def marked_tests(folder: Path) -> tuple[MarkedTest, ...]:
    """All marked tests of a folder. () if there is no such folder: a lab without its tests.

    Raises UsageError for a marker that cannot be read, or that names no rule.
    """
    found: list[MarkedTest] = []
    for path in sorted(folder.rglob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            found += _marked(node, path)
    return tuple(found)


def _marked(node: ast.AST, path: Path) -> Iterator[MarkedTest]:
    """Markers on a test (its decorators), and on parameters anywhere: pytest.param(..., marks=)."""
    if isinstance(node, ast.FunctionDef):
        for decorator in filter(_is_marker, node.decorator_list):
            yield MarkedTest(f"{path.name}::{node.name}", _rules(decorator, path))
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and _name(call.func) == "param":
            for marker in filter(_is_marker, ast.walk(call)):
                value = ast.unparse(call.args[0]).strip("'\"")
                yield MarkedTest(f"{path.name}[{value}]", _rules(marker, path))


def _is_marker(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and _name(node.func) == "proves"


def _name(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else ""


def _rules(marker: ast.AST, path: Path) -> tuple[str, ...]:
    """The arguments of a marker."""
    assert isinstance(marker, ast.Call)
    named: list[str] = []
    for argument in marker.args:
        value = argument.value if isinstance(argument, ast.Constant) else None
        if not isinstance(value, str) or not re.fullmatch(RULE_PATTERN, value):
            raise UsageError(
                f"{path}:{argument.lineno}: {ast.unparse(argument)} is no rule of the contract",
                f'literals only, "K1" to "K{RULE_COUNT}"',
            )
        named.append(value)
    return tuple(named)

"""PROTOCOL.md names every operation, load and stack, and every argument of each."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

import lab.agent
from lab.agent import ops
from lab.agent.block.ways import How
from lab.agent.loads import base as loads
from lab.agent.registry import OPERATIONS
from lab.agent.stacks import base as stacks
from lab.scenario.devices import Device
from lab.scenario.steps_io import WriteHow
from lab.scenario.steps_load import StartLoad

ops.load_all()
TEXT = (Path(lab.agent.__file__).parent / "PROTOCOL.md").read_text(encoding="utf-8")
_, _, AFTER = TEXT.partition("## Loads")
SECTIONS = {"operation": TEXT, "load": AFTER, "stack": AFTER.partition("## Stacked")[2]}
EVERYTHING: list[tuple[str, str, Callable[..., Any]]] = [
    *(("operation", name, operation.function) for name, operation in OPERATIONS.items()),
    *(("load", name, kind.__init__) for name, kind in loads.KINDS.items()),
    *(("stack", name, kind.__init__) for name, kind in stacks.KINDS.items()),
]
BENCH = {"null_blk": {"keeps", "latency_ns"}}
"""Arguments of stacks that only the bench gives."""


def described(section: str, name: str) -> str:
    """The row, paragraph or sentence about a name."""
    text = SECTIONS[section]
    row = re.search(rf"^\| {name} \|.*$", text, re.MULTILINE)
    paragraph = re.search(rf"^\*\*{name}\*\*.*?(?=\n\n)", text, re.MULTILINE | re.DOTALL)
    sentence = re.search(rf"{name} \{{[^}}]*\}}", text)
    found = row or paragraph or sentence
    assert found is not None, f"{name} is not described"
    return found.group()


def test_the_language_can_ask_for_all_that_is_there() -> None:
    assert [how.value for how in How] == [how.value for how in WriteHow]
    assert set(loads.KINDS) == set(StartLoad.model_fields) - {"name"}
    assert set(stacks.KINDS) == set(Device.model_fields)
    for name, kind in stacks.KINDS.items():
        declared, _ = get_args(Device.model_fields[name].annotation)
        arguments = set(inspect.signature(kind).parameters) - {"name"}
        assert arguments == set(declared.model_fields) | BENCH.get(name, set()), name


@pytest.mark.parametrize(
    ("section", "name", "function"), EVERYTHING, ids=[f"{one[0]}-{one[1]}" for one in EVERYTHING]
)
def test_everything_is_described_with_its_arguments(
    section: str, name: str, function: Callable[..., Any]
) -> None:
    text = described(section, name)
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name in ("self", "arguments") or (section, parameter.name) == (
            "stack",
            "name",
        ):
            continue
        assert re.search(rf"\b{parameter.name}\b", text), f"{name}: {parameter.name}"

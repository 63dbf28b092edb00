"""Arguments from JSON are checked against annotations, and mistakes name the argument."""

from __future__ import annotations

import enum
from typing import Any, Literal

import pytest

from lab.agent.typed import check_for, checked
from lab.errors import UsageError


class Colour(enum.StrEnum):
    RED = "red"
    BLUE = "blue"


def example(
    count: int,
    *,
    factor: float = 1.0,
    name: str = "",
    sure: bool = False,
    colour: Colour = Colour.RED,
    mode: Literal["a", "b"] = "a",
    maybe: int | None = None,
    pairs: list[tuple[int, str]] | None = None,
    table: dict[str, int] | None = None,
    any_: Any = None,
) -> None:
    """A function with every kind of argument."""


def test_good_arguments_arrive_with_their_types() -> None:
    given = {
        "count": 3,
        "factor": 2,
        "colour": "blue",
        "mode": "b",
        "maybe": None,
        "pairs": [[1, "x"], [2, "y"]],
        "table": {"k": 1},
        "any": {"free": ["form"]},
    }
    found = checked(example, {key: value for key, value in given.items() if key != "any"}, "op")
    assert found["colour"] is Colour.BLUE
    assert found["pairs"] == [(1, "x"), (2, "y")]
    assert type(found["factor"]) is float


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({}, "missing argument count"),
        ({"count": 1, "colur": "red"}, "unknown argument colur"),
        ({"count": "1"}, "argument count must be a whole number, not '1'"),
        ({"count": True}, "argument count must be a whole number"),
        ({"count": 1.0}, "argument count must be a whole number"),
        ({"count": 1, "factor": "x"}, "argument factor must be a number"),
        ({"count": 1, "name": 1}, "argument name must be a string"),
        ({"count": 1, "sure": 1}, "argument sure must be true or false"),
        ({"count": 1, "colour": "green"}, "argument colour must be one of red, blue"),
        ({"count": 1, "mode": "c"}, "argument mode must be one of a, b"),
        ({"count": 1, "maybe": "x"}, "argument maybe must be a whole number"),
        ({"count": 1, "pairs": {}}, "argument pairs must be a list"),
        ({"count": 1, "pairs": [[1, "x"], [2]]}, r"argument pairs\[1\] must be a list of 2"),
        ({"count": 1, "pairs": [[1, 2]]}, r"argument pairs\[0\]\[1\] must be a string"),
        ({"count": 1, "table": {"k": "v"}}, r"argument table\.k must be a whole number"),
        ({"count": 1, "table": []}, "argument table must be an object"),
    ],
)
def test_bad_arguments_are_named(args: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        checked(example, args, "op")


def test_an_annotation_that_is_not_understood_is_found_at_once() -> None:
    with pytest.raises(TypeError, match="not understood"):
        check_for(bytes)


def test_every_operation_load_and_stack_has_arguments_that_are_understood() -> None:
    from lab.agent import ops  # noqa: PLC0415
    from lab.agent.loads import base as loads  # noqa: PLC0415
    from lab.agent.registry import OPERATIONS  # noqa: PLC0415
    from lab.agent.stacks import base as stacks  # noqa: PLC0415

    ops.load_all()
    functions = [operation.function for operation in OPERATIONS.values()]
    functions += [kind.__init__ for kind in (*loads.KINDS.values(), *stacks.KINDS.values())]
    assert len(OPERATIONS) > 40 and len(loads.KINDS) == 9 and len(stacks.KINDS) == 18
    for function in functions:
        with pytest.raises(UsageError, match=r"unknown argument|missing argument"):
            checked(function, {"no such argument": 1}, "op")
            checked(function, {}, "op")
            raise UsageError("missing argument")

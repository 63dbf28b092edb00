"""Arguments from JSON, checked against the annotations of the function they are meant for.

Understood: int, float, str, bool, Any, Enum classes (by value), Literal, Optional, list[X],
dict[str, X] and tuple[X, Y] (a list of exactly that shape). Nothing is guessed or converted but
whole numbers to float. A mistake is a UsageError that names the argument.
"""

from __future__ import annotations

import enum
import inspect
import types
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Callable, Literal, Union, get_args, get_origin, get_type_hints

from lab.errors import UsageError

Check = Callable[[Any], Any]


class Mismatch(Exception):  # noqa: N818 - never leaves this module
    """A value is not what was wanted; `where` grows outwards, e.g. "[3][0]"."""

    def __init__(self, wanted: str, found: object, where: str = "") -> None:
        super().__init__(wanted)
        self.wanted = wanted
        self.found = found
        self.where = where


def checked(function: Callable[..., Any], args: Mapping[str, Any], what: str) -> dict[str, Any]:
    """`args` as keyword arguments for `function`.

    what: named in errors, e.g. "write". UsageError for unknown, missing and mistyped arguments.
    """
    checks, needed, takes_rest = _signature(function)
    if not takes_rest:
        unknown = [name for name in args if name not in checks]
        if unknown:
            raise UsageError(
                f"{what}: unknown argument {', '.join(unknown)}; it takes "
                f"{', '.join(checks) or 'none'}"
            )
    missing = [name for name in needed if name not in args]
    if missing:
        raise UsageError(f"{what}: missing argument {', '.join(missing)}")
    return {name: _one(checks, name, value, what) for name, value in args.items()}


def _one(checks: Mapping[str, Check], name: str, value: Any, what: str) -> Any:
    check = checks.get(name)
    if check is None:
        return value
    try:
        return check(value)
    except Mismatch as error:
        shown = repr(error.found)
        shown = shown if len(shown) <= 80 else shown[:77] + "..."
        raise UsageError(
            f"{what}: argument {name}{error.where} must be {error.wanted}, not {shown}"
        ) from None


@lru_cache(maxsize=None)
def _signature(function: Callable[..., Any]) -> tuple[dict[str, Check], tuple[str, ...], bool]:
    hints = get_type_hints(function)
    checks: dict[str, Check] = {}
    needed: list[str] = []
    takes_rest = False
    for name, parameter in inspect.signature(function).parameters.items():
        if name == "self":
            continue
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            takes_rest = True
            continue
        checks[name] = check_for(hints[name])
        if parameter.default is inspect.Parameter.empty:
            needed.append(name)
    return checks, tuple(needed), takes_rest


def check_for(hint: Any) -> Check:
    """The check of one annotation; TypeError for one that is not understood."""
    if hint in (Any, object):
        return _anything
    if hint in _SCALARS:
        return _SCALARS[hint]
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _enumerated(hint)
    maker = _MAKERS.get(get_origin(hint))
    if maker is None:
        raise TypeError(f"{hint!r} is not understood as an argument's type")
    return maker(get_args(hint))


def _anything(value: Any) -> Any:
    return value


def _int(value: Any) -> int:
    if type(value) is not int:
        raise Mismatch("a whole number", value)
    return value


def _float(value: Any) -> float:
    if type(value) not in (int, float):
        raise Mismatch("a number", value)
    return float(value)


def _str(value: Any) -> str:
    if type(value) is not str:
        raise Mismatch("a string", value)
    return value


def _bool(value: Any) -> bool:
    if type(value) is not bool:
        raise Mismatch("true or false", value)
    return value


def _enumerated(kind: type[enum.Enum]) -> Check:
    choices = {member.value: member for member in kind}

    def check(value: Any) -> enum.Enum:
        if type(value) is not str or value not in choices:
            raise Mismatch(f"one of {', '.join(choices)}", value)
        return choices[value]

    return check


def _literal(choices: tuple[Any, ...]) -> Check:
    def check(value: Any) -> Any:
        if value not in choices:
            raise Mismatch(f"one of {', '.join(map(str, choices))}", value)
        return value

    return check


def _union(arguments: tuple[Any, ...]) -> Check:
    kinds = [kind for kind in arguments if kind is not type(None)]
    if len(kinds) != 1 or len(kinds) == len(arguments):
        raise TypeError(f"only Optional is understood, not a union of {arguments}")
    inner = check_for(kinds[0])

    def check(value: Any) -> Any:
        return None if value is None else inner(value)

    return check


def _list(arguments: tuple[Any, ...]) -> Check:
    inner = check_for(arguments[0])

    def check(value: Any) -> list[Any]:
        if type(value) is not list:
            raise Mismatch("a list", value)
        return [_within(inner, item, f"[{place}]") for place, item in enumerate(value)]

    return check


def _tuple(arguments: tuple[Any, ...]) -> Check:
    inner = [check_for(kind) for kind in arguments]

    def check(value: Any) -> tuple[Any, ...]:
        if type(value) is not list or len(value) != len(inner):
            raise Mismatch(f"a list of {len(inner)}", value)
        return tuple(
            _within(one, item, f"[{n}]") for n, (one, item) in enumerate(zip(inner, value))
        )

    return check


def _dict(arguments: tuple[Any, ...]) -> Check:
    inner = check_for(arguments[1])

    def check(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise Mismatch("an object", value)
        return {key: _within(inner, item, f".{key}") for key, item in value.items()}

    return check


def _within(check: Check, value: Any, where: str) -> Any:
    try:
        return check(value)
    except Mismatch as error:
        error.where = where + error.where
        raise


_SCALARS: dict[Any, Check] = {int: _int, float: _float, str: _str, bool: _bool}
_MAKERS: dict[Any, Callable[[tuple[Any, ...]], Check]] = {
    Literal: _literal,
    Union: _union,
    list: _list,
    tuple: _tuple,
    dict: _dict,
}
if hasattr(types, "UnionType"):  # X | None, which Python 3.9 does not have
    _MAKERS[types.UnionType] = _union

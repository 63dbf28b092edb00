"""pydantic's errors in the words of the scenario language, with what would be right."""

from __future__ import annotations

import difflib
import re
import types
import typing
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from lab.scenario.mistakes import Mistake, Place, spell
from lab.scenario.variant import LONG, USUAL
from lab.scenario.yaml_tree import Tree

WANTED = {
    "string": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "tuple": "a list",
    "dict": "a mapping of keys",
    "model": "a mapping of keys",
}
"""What pydantic's errors ..._type and ..._parsing ask for, by the first word of their names."""
BOUNDS = {
    "greater_than": ("gt", "too small", "more than"),
    "greater_than_equal": ("ge", "too small", "at least"),
    "less_than": ("lt", "too large", "less than"),
    "less_than_equal": ("le", "too large", "at most"),
    "string_too_short": ("min_length", "too short", "characters, at least"),
    "string_too_long": ("max_length", "too long", "characters, at most"),
    "too_short": ("min_length", "too few", "at least"),
    "too_long": ("max_length", "too many", "at most"),
}
"""Errors with a bound: its key in the error's context, and in words."""


def explain(error: ValidationError, model: type[BaseModel], tree: Tree, file: str) -> list[Mistake]:
    """Every error of a validation as a mistake, each once."""
    found = [_mistake(one, model, tree, file) for one in error.errors() if not _by_inner(one)]
    # Of the items that a list lacks the last one tells how many there must be.
    return list({(one.path, one.what): one for one in found}.values())


def _by_inner(detail: ErrorDetails) -> bool:
    """Whether items lack only as wrong ones, which are told, do not count."""
    return detail["type"] == "too_short" and len(detail["input"]) >= detail["ctx"]["min_length"]


def _mistake(detail: ErrorDetails, model: type[BaseModel], tree: Tree, file: str) -> Mistake:
    place = _in_data(detail["loc"], tree.data)
    kind = detail["type"]
    what, right = detail["msg"].removeprefix("Value error, "), ""
    wrong_kind = re.fullmatch(r"([a-z]+)(_type|_parsing|_from_float)", kind)
    given = set(detail["input"]) if isinstance(detail["input"], dict) else set()
    if len(given) == 1 and given < {USUAL, LONG} and kind != "missing":
        what = f"`{USUAL if LONG in given else LONG}` is missing"
        right = f"a value that has two has `{USUAL}` and `{LONG}`"
    elif kind == "extra_forbidden":
        what = f"unknown key `{place[-1]}`"
        right = _did_you_mean(str(place[-1]), _keys(_model_at(model, place[:-1])))
    elif kind == "missing" and isinstance(detail["loc"][-1], int):
        what, place = "too few", _in_data(detail["loc"], tree.data, 1)
        right = f"{detail['loc'][-1] + 1} of them"
    elif kind == "missing":
        what, place = f"`{detail['loc'][-1]}` is missing", _in_data(detail["loc"], tree.data, 1)
    elif kind in BOUNDS:
        key, what, words = BOUNDS[kind]
        right = f"{words} {detail['ctx'][key]}"
    elif wrong_kind:
        what = f"{_told(detail['input'])} where {WANTED[wrong_kind[1]]} belongs"
        right = _put_right(wrong_kind[1], detail["input"], _model_at(model, place))
    elif kind in ("enum", "literal_error"):
        expected = str(detail["ctx"]["expected"]).replace("'", "")
        what = f"{detail['input']!r} is not known"
        right = f"one of: {expected}"
    elif kind == "string_pattern_mismatch":
        what = f"{detail['input']!r} is not of the right form"
        right = f"it must match {detail['ctx']['pattern']}"
    return Mistake(file, tree.line(place), spell(place), what, right)


def _told(value: Any) -> str:
    """A value of a file in words; numbers as such, as they may have been written otherwise."""
    if value is None:
        return "nothing"
    kinds = ((bool, str(value).lower()), ((int, float), "a number"), (list, "a list"))
    found = next((word for kind, word in kinds if isinstance(value, kind)), None)
    return found or ("a mapping of keys" if isinstance(value, dict) else repr(value))


def _put_right(wanted: str, value: Any, model: type[BaseModel] | None) -> str:
    """How a value of the wrong kind is written instead, as far as it tells what was meant."""
    if wanted == "string" and isinstance(value, (int, float)):
        return "put it in quotes" + (', e.g. "5.15"' if isinstance(value, float) else "")
    if wanted == "tuple" and isinstance(value, (str, int, float)):
        return f"[{value}]"
    if wanted == "model" and value in _keys(model):
        return f"`{value}:`"
    return ""


def _in_data(location: tuple[int | str, ...], data: Any, drop: int = 0) -> Place:
    """The part of pydantic's location that exists in the data.

    For an enum or a union pydantic adds names of types; they are in no data and are left out.
    """
    place: list[int | str] = []
    wanted = location[: len(location) - drop]
    for part in wanted:
        inside = isinstance(data, list) and isinstance(part, int) and part < len(data)
        if inside or (isinstance(data, dict) and part in data):
            place.append(part)
            data = data[part]
    return tuple(place)


def _model_at(model: type[BaseModel], place: Place) -> type[BaseModel] | None:
    """The model that describes a place of the data; None if none does."""
    found: Any = model
    for part in place:
        if isinstance(part, int):
            continue
        if typing.get_origin(found) is dict:
            found = _inner(typing.get_args(found)[1])
            continue
        if not _is_model(found) or part not in found.model_fields:
            return None
        found = _inner(found.model_fields[part].annotation)
    return found if _is_model(found) else None


def _is_model(found: Any) -> bool:
    return isinstance(found, type) and issubclass(found, BaseModel)


def _inner(annotation: Any) -> Any:
    """The model (or the dict of models) in an annotation such as `tuple[Step, ...]`, `X | None`."""
    origin = typing.get_origin(annotation)
    if origin is None or origin is dict:
        return annotation
    arguments = typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return next((_inner(a) for a in arguments if a is not type(None)), None)
    return _inner(arguments[0])


def _keys(model: type[BaseModel] | None) -> list[str]:
    return list(model.model_fields) if model is not None else []


def _did_you_mean(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean `{close[0]}`?"
    return f"known are: {', '.join(known)}" if known else ""

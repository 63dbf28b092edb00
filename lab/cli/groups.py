"""Groups of options that several commands share: dataclasses whose fields are options of typer's.

A parameter of a command that is annotated with such a class stands for all of its fields.
"""

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_type_hints

Returned = TypeVar("Returned")


def grouped(command: Callable[..., Returned]) -> Callable[..., Returned]:
    """The command as typer sees it: with the options of its groups one by one."""
    hints = get_type_hints(command, include_extras=True)
    hints.pop("return", None)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    parameters: list[inspect.Parameter] = []
    for name, own in inspect.signature(command).parameters.items():
        if name in groups:
            parameters += _options(groups[name])
        else:
            parameters.append(own.replace(annotation=hints[name], kind=own.KEYWORD_ONLY))

    @functools.wraps(command)
    def called(**given: Any) -> Returned:
        made = {
            name: group(**{one.name: given.pop(one.name) for one in fields(group)})
            for name, group in groups.items()
        }
        return command(**made, **given)

    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {one.name: one.annotation for one in parameters}
    return called


def differing(group: Any) -> dict[str, Any]:
    """The fields of a group that have not their defaults."""
    values = {one.name: (getattr(group, one.name), one.default) for one in fields(group)}
    return {name: value for name, (value, default) in values.items() if value != default}


def option(name: str) -> str:
    """The option that a field of a group is."""
    return f"--{name.replace('_', '-')}"


def _options(group: Any) -> Iterator[inspect.Parameter]:
    """The fields of a group as parameters; each has a default."""
    hints = get_type_hints(group, include_extras=True)
    for one in fields(group):
        yield inspect.Parameter(
            one.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=one.default,
            annotation=hints[one.name],
        )

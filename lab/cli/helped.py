"""A command whose help says what is typed: names of arguments, not their types in Python."""

import re
from typing import Any

from typer.core import TyperCommand

_TYPE = re.compile(r" <.*>$")
_DEFAULT = re.compile(r"\[default: \((.*?)\)(?=[];])")
"""Of a default that is told in words; the brackets are enough."""


class Command(TyperCommand):
    """A command of the program."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """What follows the command's name in the line of its usage."""
        pieces = ["[OPTIONS]"]
        for one in self.get_params(ctx):
            if one.param_type_name == "argument":
                name = str(one.metavar or one.name)
                dots = "..." if one.nargs != 1 else ""
                pieces.append(f"{name}{dots}" if one.required else f"[{name}]{dots}")
        return pieces

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The lists of arguments and options."""
        rows: dict[str, list[tuple[str, str]]] = {"argument": [], "option": []}
        for one in self.get_params(ctx):
            name, text = one.get_help_record(ctx) or ("", "")
            name = _TYPE.sub("", name) if one.param_type_name == "argument" else name
            if name:
                rows[one.param_type_name].append((name, _DEFAULT.sub(r"[default: \1", text)))
        for title, kind in (("Arguments", "argument"), ("Options", "option")):
            if rows[kind]:
                with formatter.section(title):
                    formatter.write_dl(rows[kind])

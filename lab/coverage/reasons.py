"""Why some lines and branches are reached by no scenario: the module's test/unreached.yaml.

A list of entries, each with `file` (a name, or a pattern such as "*"), why (`reason`), and where:

    code      some lines, as they are in the file but for white space around each, which are there
              once; or a list of such pieces
    pattern   a regular expression, which may fit lines in any place

An entry explains what is not reached in its lines: the lines, and branches on them; with
`only: branches` not the lines, as for a reason why a call never fails, which does not tell why
nothing calls. One whose code is not there, or all of which is reached, is an error; but with
`sometimes: true`, for what depends on a moment, it may be reached.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from lab.coverage.lines import Place, Reached
from lab.errors import UsageError

LIST = "test/unreached.yaml"
"""Where a module's list is, below its folder."""


class Entry(BaseModel):
    """One reason; exactly one of code and pattern."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str = Field(min_length=1)
    code: str | tuple[str, ...] = ()
    pattern: str = ""
    only: Literal["branches"] | None = None
    sometimes: bool = False
    reason: str = Field(min_length=10)

    @model_validator(mode="after")
    def _one_place(self) -> Entry:
        if bool(self.pieces) == bool(self.pattern) or not all(map(str.strip, self.pieces)):
            raise ValueError("needs either code or pattern")
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ValueError(f"{self.pattern!r} is no regular expression: {error}") from error
        return self

    @property
    def pieces(self) -> tuple[str, ...]:
        """The pieces of code that it names."""
        return (self.code,) if isinstance(self.code, str) else self.code

    @property
    def about(self) -> str:
        """What of its lines it explains, in words."""
        return "it" if self.only is None else f"its {self.only}"

    def places(self, sources: Mapping[str, str]) -> dict[str, list[Place]]:
        """The lines that it is about: of each of its pieces, or of its pattern."""
        files = {name: text.splitlines() for name, text in sources.items()}
        mine = {name: lines for name, lines in files.items() if fnmatch(name, self.file)}
        if self.pattern:
            return {self.pattern: _fitting(self.pattern, mine)}
        return {piece: _same(piece, mine) for piece in self.pieces}


def _fitting(pattern: str, files: Mapping[str, Sequence[str]]) -> list[Place]:
    """The lines that a pattern fits."""
    return [
        (name, number)
        for name, lines in files.items()
        for number, line in enumerate(lines, 1)
        if re.search(pattern, line)
    ]


def _same(piece: str, files: Mapping[str, Sequence[str]]) -> list[Place]:
    """The lines of a piece of code. UsageError if it is there more than once."""
    wanted = [line.strip() for line in piece.strip().splitlines()]
    found = [
        [(name, at + 1 + more) for more in range(len(wanted))]
        for name, lines in files.items()
        for at in range(len(lines))
        if [line.strip() for line in lines[at : at + len(wanted)]] == wanted
    ]
    if len(found) > 1:
        raise UsageError(f"{wanted[0]}: its code is there {len(found)} times")
    return found[0] if found else []


@dataclass(frozen=True)
class Judgement:
    """What is not reached, with its reason; what has none; entries that are wrong, and why.

    branches: lines that are reached, but not all of their branches taken. Of these no reason is
    asked: many are copies that the compiler made, and parts of the kernel's macros.
    """

    explained: Mapping[Place, str]
    lines: tuple[Place, ...]
    branches: tuple[Place, ...]
    wrong: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Every line is reached or has a reason, and every reason fits."""
        return not (self.lines or self.wrong)


def load_reasons(path: Path) -> tuple[Entry, ...]:
    """The entries of a list; none if there is no such file. UsageError with what is wrong."""
    if not path.is_file():
        return ()
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8")) or []
        return TypeAdapter(tuple[Entry, ...]).validate_python(data)
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise UsageError(f"{path} is no list of reasons: {error}") from error


def judge(reached: Reached, sources: Mapping[str, str], entries: Sequence[Entry]) -> Judgement:
    """Compare what was not reached with what the entries say."""
    lines, branches = reached.unreached_lines(), reached.half_reached_lines()
    explained: dict[Place, str] = {}
    wrong: list[str] = []
    for entry in entries:
        try:
            places = entry.places(sources)
        except UsageError as error:
            wrong.append(f"{entry.file}: {error.what}")
            continue
        missed = {*branches} if entry.only else {*lines, *branches}
        for piece, all_ in places.items():
            mine = [place for place in all_ if place in missed]
            if not mine and not (all_ and entry.sometimes):
                what = f"all of {entry.about} is reached" if all_ else "there is no such code"
                wrong.append(f"{entry.file}: {piece.strip().splitlines()[0]}: {what}")
            explained.update(dict.fromkeys(mine, entry.reason))
    return Judgement(
        explained,
        tuple(place for place in lines if place not in explained),
        tuple(place for place in branches if place not in explained),
        tuple(wrong),
    )

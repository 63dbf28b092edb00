"""Mistakes in a scenario file: where, what, and what would be right."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lab.errors import UsageError


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake."""

    file: str
    line: int
    """Counted from 1."""
    path: str
    """E.g. ".steps[3].write.size"; "" for the whole file."""
    what: str
    right: str = ""
    """What would be right, e.g. "did you mean `device`?"."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.told}"

    @property
    def told(self) -> str:
        """All but the place in the file, which data that is in none does not have."""
        text = f"{self.path or 'file'}: {self.what}"
        return f"{text}; {self.right}" if self.right else text


def listed(head: str, mistakes: Iterable[Mistake]) -> str:
    """Mistakes in data that is in no file, below a line that says where it is."""
    return "\n  ".join([f"{head}:", *(one.told for one in mistakes)])


class ScenarioError(UsageError):
    """A scenario file cannot be used; `mistakes` has all there are, in the order of lines."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(sorted(mistakes, key=lambda one: (one.file, one.line, one.path)))
        count = len(self.mistakes)
        head = f"{count} mistake{'s' if count != 1 else ''} in scenario files"
        super().__init__("\n  ".join([f"{head}:", *map(str, self.mistakes)]))


Place = tuple[str | int, ...]
"""Where in the data: keys and indices, e.g. ("steps", 3, "write", "size")."""


def spell(place: Place) -> str:
    """E.g. ".steps[3].write.size"."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)

"""A disagreement between the model and what was seen."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Something that is not as it must be."""

    where: str
    """What was looked at, e.g. "image of a in s", "map of a"."""
    first: int
    """First sector, block or position; -1 where none applies."""
    count: int
    """How many of them in a row."""
    unit: str
    """"sector", "block", "" ..."""
    found: str
    """What was there."""
    allowed: str
    """What would have been right."""

    def __str__(self) -> str:
        place = self.where
        if self.first >= 0 and self.unit:
            place += f", {self.unit} {self.first}"
            if self.count > 1:
                place += f"..{self.first + self.count - 1} ({self.count} of them)"
        return f"{place}: found {self.found}; must be {self.allowed}"


Disagreements = tuple[Disagreement, ...]


def general(where: str, found: str, allowed: str) -> Disagreement:
    """A disagreement that has no position."""
    return Disagreement(where, -1, 0, "", found, allowed)

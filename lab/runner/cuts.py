"""When the power is cut while a step is done, and whether the cuts came in time.

A step that ends before its cut has proven nothing. So a cut is drawn within the time that the same
step took in this guest when nothing disturbed it, be it before or as a cut came too late.
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.scenario.step import PowerCut, Step

EARLIEST, LATEST = 0.1, 0.7
"""Where in the time that a step takes its cut comes, if `after_ms` leaves the choice."""


@dataclass
class Tally:
    """The cuts of one step: how many there were, and how many came while it was under way."""

    verb: str
    required: bool
    cuts: int = 0
    inside: int = 0

    def __str__(self) -> str:
        return f"{self.inside} of {self.cuts}"


class Cuts:
    """What is known of the cuts of one scenario."""

    def __init__(self) -> None:
        self._took: dict[str, float] = {}
        self._tallies: dict[str, Tally] = {}

    def took(self, step: Step, seconds: float) -> None:
        """A step came to its end undisturbed."""
        key = _key(step)
        self._took[key] = min(seconds, self._took.get(key, seconds))

    def window(self, cut: PowerCut, step: Step) -> tuple[float, float]:
        """Seconds from the begin of a step within which its power is cut."""
        low, high = (one / 1000 for one in cut.after_ms)
        took = self._took.get(_key(step))
        if took is None or high <= LATEST * took:
            return low, high
        return min(low, EARLIEST * took), LATEST * took

    def add(self, cut: PowerCut, step: Step, *, inside: bool) -> None:
        """The power was cut."""
        new = Tally(step.verb, cut.inside == "required")
        tally = self._tallies.setdefault(f"{_key(step)} {cut.seed}", new)
        tally.cuts += 1
        tally.inside += inside

    def reports(self) -> dict[str, object]:
        """How many came in time, by verb."""
        sums: dict[str, Tally] = {}
        for one in self._tallies.values():
            all_of_it = sums.setdefault(one.verb, Tally(one.verb, one.required))
            all_of_it.cuts += one.cuts
            all_of_it.inside += one.inside
        return {f"power cuts during {verb}": str(one) for verb, one in sums.items()}

    def missed(self) -> list[str]:
        """Steps that must have been cut, and were not."""
        return [
            f"{one.verb} was over before its power was cut, each of {one.cuts} times"
            for one in self._tallies.values()
            if one.required and not one.inside
        ]


def _key(step: Step) -> str:
    """The same for steps that do the same."""
    return f"{step.verb} {step.action!r}"

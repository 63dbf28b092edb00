"""What proves each rule of the module's contract, and guards against each trap: scenarios say so.

What the rules promise and what the traps are is in the module's CONTRACT.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lab.contract import contract
from lab.scenario.scenario import Scenario


def proofs(scenarios: Iterable[Scenario]) -> Mapping[str, tuple[str, ...]]:
    """Every rule and trap with the names of the scenarios that prove it, perhaps none."""
    chosen = list(scenarios)
    return {
        rule: tuple(one.name for one in chosen if rule in (*one.proves, *one.regression_for))
        for rule in contract()
    }

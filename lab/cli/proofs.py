"""Which scenarios prove each rule of the module's contract: they say it in `proves:`.

What the rules promise is in the module's CONTRACT.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lab.scenario.scenario import RULE_COUNT, Scenario

RULES = tuple(f"K{number}" for number in range(1, RULE_COUNT + 1))
"""All rules of the contract, in their order."""


def proofs(scenarios: Iterable[Scenario]) -> Mapping[str, tuple[str, ...]]:
    """Every rule with the names of the scenarios that prove it, perhaps none."""
    chosen = list(scenarios)
    return {rule: tuple(one.name for one in chosen if rule in one.proves) for rule in RULES}

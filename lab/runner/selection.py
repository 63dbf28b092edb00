"""Which scenarios a run is about: by name, pattern, group, and rule that they prove.

Several selectors of one kind add up, kinds narrow each other; the order is that of the names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from lab.errors import UsageError
from lab.scenario.scenario import Scenario


@dataclass(frozen=True)
class Selection:
    """What the user asked for; empty tuples ask for everything.

    names: names or patterns, e.g. "overflow/exhausted", "burst", "cbt", "cbt/*", "*wrap*".
    groups: e.g. "overflow". proves: ids such as K18 or W-05 (of `proves` and `regression_for`).
    """

    names: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    proves: tuple[str, ...] = ()

    def may_match(self, name: str) -> bool:
        """False if, by its name, a scenario fits no name and no group that is asked for, so that it
        need not be read."""
        if self.proves or not (self.names or self.groups):
            return True
        return any(_named(name, one) for one in self.names) or _group(name) in self.groups

    def matches(self, scenario: Scenario) -> bool:
        """True if the scenario is one of those asked for."""
        rules = {rule.casefold() for rule in (*scenario.proves, *scenario.regression_for)}
        return (
            (not self.names or any(_named(scenario.name, name) for name in self.names))
            and (not self.groups or scenario.group in self.groups)
            and (not self.proves or any(rule.casefold() in rules for rule in self.proves))
        )


def select(scenarios: Iterable[Scenario], selection: Selection) -> tuple[Scenario, ...]:
    """The scenarios asked for, ordered by name.

    Raises UsageError if there is none, or if one of the selectors fits no scenario at all.
    """
    known = sorted(scenarios, key=lambda scenario: scenario.name)
    _refuse_idle(known, selection)
    chosen = tuple(scenario for scenario in known if selection.matches(scenario))
    if not chosen:
        raise UsageError(
            "no scenario fits the selection", "see `blksnap-lab list` for what there is"
        )
    return chosen


def select_to_run(scenarios: Iterable[Scenario], selection: Selection) -> tuple[Scenario, ...]:
    """As select(); what is not run by default only if its name or its group is asked for."""
    by_name = bool(selection.names or selection.groups)
    return select([one for one in scenarios if one.default or by_name], selection)


def _refuse_idle(known: Sequence[Scenario], selection: Selection) -> None:
    """A misspelt selector must not quietly make the run smaller."""
    single = [
        *(("name", Selection(names=(name,)), name) for name in selection.names),
        *(("group", Selection(groups=(group,)), group) for group in selection.groups),
        *(("rule", Selection(proves=(rule,)), rule) for rule in selection.proves),
    ]
    idle = [(kind, text) for kind, one, text in single if not any(map(one.matches, known))]
    if idle:
        told = ", ".join(f"{kind} {text!r}" for kind, text in idle)
        lists = ["list"] if any(kind != "rule" for kind, _ in idle) else []
        lists += ["list --proves"] if any(kind == "rule" for kind, _ in idle) else []
        commands = " and ".join(f"`blksnap-lab {one}`" for one in lists)
        raise UsageError(f"no scenario fits {told}", f"see {commands} for what there is")


def _named(name: str, pattern: str) -> bool:
    plain = pattern.rstrip("/")
    if fnmatchcase(name, plain) or _group(name) == plain:
        return True
    return "/" not in plain and fnmatchcase(name.rpartition("/")[2], plain)


def _group(name: str) -> str:
    return name.rpartition("/")[0]

"""A run at a glance: its headline, counts, verdicts by group and kernel, rules and their proofs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lab.report.stored import StoredRun, StoredScenario
from lab.report.wording import counts_text
from lab.runner.verdict import Verdict, count_verdicts

GRAVITY = (
    *(Verdict.PASSED, Verdict.SKIPPED, Verdict.ERROR, Verdict.LOST, Verdict.HANG),
    *(Verdict.FAILED, Verdict.SPLAT, Verdict.PANIC),
)
"""Verdicts, the worst last."""


@dataclass(frozen=True)
class Entry:
    """A scenario in the page; words: what the filter looks at; packed: its details."""

    scenario: StoredScenario
    words: str
    packed: str


@dataclass(frozen=True)
class Cell:
    """A group on a kernel: how many are green of how many, and the worst verdict."""

    kernel: str
    green: int
    total: int
    worst: Verdict
    words: str


@dataclass(frozen=True)
class GroupRow:
    """A group: its scenarios, and its cell for each kernel."""

    group: str
    cells: tuple[Cell, ...]
    scenarios: tuple[Entry, ...]


@dataclass(frozen=True)
class Link:
    """A scenario that proves a rule: the worst of its results."""

    name: str
    key: str
    verdict: Verdict


@dataclass(frozen=True)
class Rule:
    """A rule of the contract, and the scenarios that prove it; passed of all results."""

    name: str
    passed: int
    total: int
    links: tuple[Link, ...]


def words(one: StoredScenario) -> str:
    """What the filter of the page looks for words in."""
    return " ".join((one.key, one.title, one.reason, *one.proves)).lower()[:600]


def headline(run: StoredRun) -> str:
    """What was run."""
    names = {one.name for one in run.scenarios}
    several = f" on {len(run.kernels)} kernels" if len(run.kernels) > 1 else ""
    return f"{len(names)} scenario{'s' if len(names) != 1 else ''}{several}"


def _worst(verdicts: Iterable[Verdict]) -> Verdict:
    return max(verdicts, key=GRAVITY.index, default=Verdict.SKIPPED)


def matrix(entries: Sequence[Entry], kernels: Sequence[str]) -> list[GroupRow]:
    """A row for each group, a cell for each kernel."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.scenario.group, []).append(entry)
    return [
        GroupRow(group, tuple(_cell(mine, kernel) for kernel in kernels), tuple(mine))
        for group, mine in sorted(groups.items())
    ]


def _cell(entries: Iterable[Entry], kernel: str) -> Cell:
    mine = [entry.scenario for entry in entries if entry.scenario.kernel == kernel]
    green = sum(one.green for one in mine)
    told = counts_text(count_verdicts(mine))
    return Cell(kernel, green, len(mine), _worst(one.verdict for one in mine), told)


def rules(scenarios: Iterable[StoredScenario]) -> list[Rule]:
    """The rules that any of them proves, in order."""
    proofs: dict[str, list[StoredScenario]] = {}
    for one in scenarios:
        for name in one.proves:
            proofs.setdefault(name, []).append(one)
    return [_rule(name, proofs[name]) for name in sorted(proofs, key=_rule_order)]


def _rule_order(name: str) -> tuple[str, int]:
    digits = "".join(char for char in name if char.isdigit())
    return name[:1], int(digits or 0)


def _rule(name: str, found: Sequence[StoredScenario]) -> Rule:
    by_name: dict[str, list[StoredScenario]] = {}
    for one in found:
        by_name.setdefault(one.name, []).append(one)
    links = []
    for scenario, results in by_name.items():
        worst = max(results, key=lambda one: GRAVITY.index(one.verdict))
        links.append(Link(scenario, worst.key, worst.verdict))
    passed = sum(one.verdict is Verdict.PASSED for one in found)
    return Rule(name, passed, len(found), tuple(links))

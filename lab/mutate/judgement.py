"""What a run says of each mutant, and whether that is as it must be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from lab.image import DEFAULT_KERNEL
from lab.mutate.mutants import Mutant
from lab.mutate.records import Outcome, Record


class Fate(StrEnum):
    """What became of a mutant.

    killed       a scenario was red, which is green with the module as it is
    explained    it survived, and the list says why it must
    survived     it survived, and should not
    stale        a scenario was red, though the list says that none can be on this kernel
    invalid      it does not compile
    unclear      the lab failed, or the scenario is red with the module as it is, too
    not tried    the run was interrupted
    """

    KILLED = "killed"
    EXPLAINED = "explained"
    SURVIVED = "survived"
    STALE = "stale"
    INVALID = "invalid"
    UNCLEAR = "unclear"
    NOT_TRIED = "not tried"


_WITHOUT_VERDICT = {Outcome.INVALID: Fate.INVALID, Outcome.UNCLEAR: Fate.UNCLEAR}
GOOD = frozenset({Fate.KILLED, Fate.EXPLAINED})


@dataclass(frozen=True)
class Judged:
    """A mutant, its fate, and in a line why."""

    mutant: Mutant
    fate: Fate
    why: str = ""


@dataclass(frozen=True)
class Score:
    """How many mutants of a file, or of all, had which fate."""

    name: str
    fates: Mapping[Fate, int]

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(self.fates.values())


def fate_of(
    mutant: Mutant,
    record: Record | None,
    as_it_is: Mapping[str, Record],
    kernel: str = DEFAULT_KERNEL,
) -> Judged:
    """The fate of a mutant. as_it_is: records of the module without a mistake, by scenario.

    What the list says of survivors is said of the usual kernel: another one may notice more.
    """
    if record is None:
        return Judged(mutant, Fate.NOT_TRIED)
    if record.outcome is Outcome.SURVIVED and mutant.survives:
        return Judged(mutant, Fate.EXPLAINED, mutant.survives)
    if record.outcome is Outcome.SURVIVED:
        return Judged(mutant, Fate.SURVIVED, f"green: {', '.join(mutant.scenarios)}")
    seen = f"{record.scenario} {record.verdict}: {record.reason}".removeprefix(" : ")
    if record.outcome is Outcome.KILLED:
        stale = bool(mutant.survives) and kernel == DEFAULT_KERNEL
        control = as_it_is.get(record.scenario)
        return _killed(mutant, seen, record.scenario, control, stale=stale)
    return Judged(mutant, _WITHOUT_VERDICT[record.outcome], seen)


def _killed(
    mutant: Mutant, seen: str, scenario: str, control: Record | None, *, stale: bool
) -> Judged:
    """Killed, if the module as it is passes the same scenario."""
    if control is None:
        return Judged(mutant, Fate.NOT_TRIED, f"{seen} (not compared with the module as it is)")
    if control.outcome is not Outcome.SURVIVED:
        why = f"{scenario} is {control.verdict} with the module as it is: {control.reason}"
        return Judged(mutant, Fate.UNCLEAR, why)
    return Judged(mutant, Fate.STALE if stale else Fate.KILLED, seen)


def scores(judged: Sequence[Judged]) -> list[Score]:
    """The score of each file, by name."""
    files = sorted({one.mutant.file for one in judged})
    return [score_of(file, [one for one in judged if one.mutant.file == file]) for file in files]


def score_of(name: str, judged: Sequence[Judged]) -> Score:
    """The score of some mutants."""
    return Score(name, {fate: sum(one.fate is fate for one in judged) for fate in Fate})

"""What a run says of a mutant, and what is kept of it from run to run."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.mutate.judgement import GOOD, Fate, fate_of, score_of, scores
from lab.mutate.records import Outcome, Record, Records

from .test_mutants import a_mutant

GREEN = {"cbt/exact-map": Record("c", "", Outcome.SURVIVED, "cbt/exact-map", "passed")}
RED = {"cbt/exact-map": Record("c", "", Outcome.KILLED, "cbt/exact-map", "failed", "as it is")}


def record(outcome: Outcome, verdict: str = "failed", reason: str = "why") -> Record:
    return Record("key", "one", outcome, "cbt/exact-map", verdict, reason, 1.5)


def test_a_red_scenario_kills_if_it_is_green_without_the_mutant() -> None:
    killed = record(Outcome.KILLED)
    judged = fate_of(a_mutant(), killed, GREEN)
    assert judged.fate is Fate.KILLED
    assert judged.why == "cbt/exact-map failed: why"
    assert fate_of(a_mutant(), killed, RED).fate is Fate.UNCLEAR
    assert fate_of(a_mutant(), killed, {}).fate is Fate.NOT_TRIED


def test_a_survivor_needs_an_explanation() -> None:
    survived = record(Outcome.SURVIVED, "passed", "")
    assert fate_of(a_mutant(), survived, GREEN).fate is Fate.SURVIVED
    assert fate_of(a_mutant(survives="no such guest"), survived, GREEN).fate is Fate.EXPLAINED


def test_an_explanation_is_stale_when_a_scenario_is_red() -> None:
    judged = fate_of(a_mutant(survives="nobody can see it"), record(Outcome.KILLED), GREEN)
    assert judged.fate is Fate.STALE


def test_an_explanation_is_of_the_usual_kernel() -> None:
    """Another one looks for more: what it notices is a kill, and its silence is explained, too."""
    mutant = a_mutant(survives="nobody can see it")
    killed, survived = record(Outcome.KILLED, "splat"), record(Outcome.SURVIVED, "passed", "")
    assert fate_of(mutant, killed, GREEN, "6.1-kcsan").fate is Fate.KILLED
    assert fate_of(mutant, killed, RED, "6.1-kcsan").fate is Fate.UNCLEAR
    assert fate_of(mutant, survived, GREEN, "6.1-kcsan").fate is Fate.EXPLAINED


@pytest.mark.parametrize(
    ("outcome", "fate"), [(Outcome.INVALID, Fate.INVALID), (Outcome.UNCLEAR, Fate.UNCLEAR)]
)
def test_what_the_lab_could_not_do_is_no_kill(outcome: Outcome, fate: Fate) -> None:
    for mutant in (a_mutant(), a_mutant(survives="explained")):
        judged = fate_of(mutant, record(outcome), GREEN)
        assert judged.fate is fate
        assert judged.fate not in GOOD
    assert fate_of(a_mutant(), None, GREEN).fate is Fate.NOT_TRIED


def test_scores_are_by_file() -> None:
    judged = [
        fate_of(a_mutant(), record(Outcome.KILLED), GREEN),
        fate_of(a_mutant(id="two", file="b.c"), record(Outcome.KILLED), GREEN),
        fate_of(a_mutant(id="three", file="b.c"), record(Outcome.SURVIVED), GREEN),
    ]
    one, two = scores(judged)
    assert (one.name, one.total, one.fates[Fate.KILLED]) == ("a.c", 1, 1)
    assert (two.name, two.total, two.fates[Fate.SURVIVED]) == ("b.c", 2, 1)
    assert score_of("all", judged).total == 3


def test_records_are_found_again(tmp_path: Path) -> None:
    path = tmp_path / "results/mutants.jsonl"
    records = Records(path)
    records.add(record(Outcome.SURVIVED, "passed", ""))
    records.add(record(Outcome.KILLED))
    assert Records(path).find("key") == record(Outcome.KILLED)
    assert Records(path).find("another") is None
    assert Records(path, fresh=True).find("key") is None


def test_a_trial_that_the_lab_failed_in_is_made_again(tmp_path: Path) -> None:
    records = Records(tmp_path / "mutants.jsonl")
    records.add(record(Outcome.UNCLEAR, "error"))
    assert records.find("key") is None


def test_a_line_that_was_cut_off_is_no_record(tmp_path: Path) -> None:
    path = tmp_path / "mutants.jsonl"
    records = Records(path)
    records.add(record(Outcome.KILLED))
    whole = path.read_text()
    path.write_text(whole + whole.replace('"key"', '"other"', 1)[: len(whole) // 2])
    records = Records(path)
    assert records.find("key") is not None
    assert records.find("other") is None
    records.add(Record("third", "x", Outcome.SURVIVED))
    assert Records(path).find("third") is not None

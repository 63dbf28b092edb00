"""A run over several mutants, with a workshop and with trials that are made up."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.errors import LabError, UsageError
from lab.image import Image, ImageFacts
from lab.modbuild import ModuleBuildFailed
from lab.mutate import session
from lab.mutate.mutants import Mutant
from lab.mutate.records import Outcome, Record, Records
from lab.mutate.session import Plan, run_mutants, used_scenarios
from lab.mutate.trial import Bench, Trial
from lab.runner.stop import Interrupted
from lab.scenario.load import parse_scenario
from lab.scenario.scenario import Scenario

from .test_mutants import a_mutant

IMAGE = Image(Path("/image"), "key", ImageFacts("bookworm", "6.1.0", (), {"gcc": "12"}))
SCENARIO = "summary: Nothing at all is done\nsteps: [{name: x, exec: {argv: ['true']}}]\n"
RED = {"failed": Outcome.KILLED, "passed": Outcome.SURVIVED}


class FakeWorkshop:
    """Builds nothing; a tree that has "broken" in it does not compile."""

    def __init__(self, folder: Path) -> None:
        self.built: list[str] = []
        self.fails: Exception | None = None
        self.takes = 0.0
        self._folder = folder
        folder.mkdir()

    def build(self, source: Path) -> Path:
        text = (source / "a.c").read_text()
        self.built.append(text)
        time.sleep(self.takes)
        if self.fails is not None:
            raise self.fails
        if "broken" in text:
            raise ModuleBuildFailed(source, "a.c:1:1: error: broken")
        (self._folder / "a.ko").write_text(text)
        return self._folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "module"
    folder.mkdir()
    (folder / "Makefile").write_text("obj-m := a.o\n")
    (folder / "a.c").write_text("x = 1;\n")
    return folder


class Lab:
    """What a test needs to run mutants. killed_by: the scenario that is red, by mutant."""

    def __init__(self, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.workshop = FakeWorkshop(tmp_path / "made")
        self.killed_by: dict[str, str] = {}
        self.tried: list[tuple[str, tuple[str, ...]]] = []
        self.before: Callable[[Trial, Bench], None] = lambda trial, bench: None
        self.path = tmp_path / "results/mutants.jsonl"
        self._source = source
        self._results = tmp_path / "results"
        self.scenarios: list[Scenario] = [
            parse_scenario(SCENARIO, name, name) for name in ("g/one", "g/two")
        ]
        monkeypatch.setattr(session, "try_scenarios", self._try)

    def _try(self, trial: Trial, modules: str, bench: Bench) -> Record:
        assert modules
        self.before(trial, bench)
        names = tuple(one.name for one in trial.scenarios)
        self.tried.append((trial.mutant, names))
        red = self.killed_by.get(trial.mutant)
        verdict = "failed" if red in names else "passed"
        return Record(trial.key, trial.mutant, RED[verdict], red or names[-1], verdict)

    def run(self, *mutants: Mutant, image: Image = IMAGE) -> session.Ending:
        template: Any = SimpleNamespace(image=image)
        used = used_scenarios(mutants, self.scenarios)
        plan = Plan(mutants, used, self._source, {None: template}, self._results)
        return run_mutants(plan, Records(self.path), self.workshop.build, lambda *_told: None)


@pytest.fixture
def lab(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    return Lab(source, tmp_path, monkeypatch)


def mutant(name: str, now: str = "x = 2;", scenarios: tuple[str, ...] = ("g/one",)) -> Mutant:
    return a_mutant(id=name, now=now, scenarios=scenarios)


def test_each_is_built_and_tried_and_so_is_what_killed(lab: Lab) -> None:
    lab.killed_by = {"first": "g/two"}
    ending = lab.run(
        mutant("first", scenarios=("g/one", "g/two")), mutant("second", "x = 3;", ("g/one",))
    )
    assert ending.records["first"].outcome is Outcome.KILLED
    assert ending.records["second"].outcome is Outcome.SURVIVED
    assert list(ending.as_it_is) == ["g/two"]
    assert lab.tried == [("first", ("g/one", "g/two")), ("second", ("g/one",)), ("", ("g/two",))]
    assert lab.workshop.built == ["x = 2;\n", "x = 3;\n", "x = 1;\n"]
    assert not ending.interrupted


def test_one_that_does_not_compile_is_not_tried(lab: Lab) -> None:
    ending = lab.run(mutant("bad", "broken"), mutant("good"))
    assert ending.records["bad"].outcome is Outcome.INVALID
    assert "error: broken" in ending.records["bad"].reason
    assert ending.records["good"].outcome is Outcome.SURVIVED
    assert lab.tried == [("good", ("g/one",))]


def test_a_second_run_does_what_the_first_one_left(lab: Lab) -> None:
    lab.killed_by = {"first": "g/one"}
    lab.run(mutant("first"))
    lab.tried.clear()
    lab.workshop.built.clear()
    ending = lab.run(mutant("first"), mutant("second", "x = 3;"))
    assert ending.records["first"].outcome is Outcome.KILLED
    assert ending.as_it_is["g/one"].outcome is Outcome.SURVIVED
    assert lab.tried == [("second", ("g/one",))]
    assert lab.workshop.built == ["x = 3;\n"]


def test_another_scenario_makes_another_trial(lab: Lab) -> None:
    lab.run(mutant("first"))
    lab.scenarios[0] = parse_scenario(SCENARIO.replace("Nothing", "Little"), "g/one", "g/one")
    lab.run(mutant("first"))
    assert lab.tried == [("first", ("g/one",))] * 2


def test_another_lab_makes_another_trial(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.killed_by = {"first": "g/one"}
    assert lab.run(mutant("first")).records["first"].outcome is Outcome.KILLED
    monkeypatch.setattr(session, "lab_digest", lambda: "a check that was mended")
    lab.killed_by = {}
    assert lab.run(mutant("first")).records["first"].outcome is Outcome.SURVIVED


def test_another_kernel_makes_another_trial(lab: Lab) -> None:
    lab.run(mutant("first"))
    lab.killed_by = {"first": "g/one"}
    facts = ImageFacts("bookworm", "6.1.192-kcsan-88b57822", (), {"gcc": "12"})
    there = Image(Path("/image"), "key", facts)
    assert lab.run(mutant("first"), image=there).records["first"].outcome is Outcome.KILLED
    assert lab.run(mutant("first")).records["first"].outcome is Outcome.SURVIVED
    assert [name for name, _ in lab.tried] == ["first", "first", ""]


def test_what_an_interrupted_run_has_found_is_kept(lab: Lab) -> None:
    def interrupt(trial: Trial, bench: Bench) -> None:
        if trial.mutant == "second":
            bench.stop.request()
            raise Interrupted

    lab.before = interrupt
    ending = lab.run(mutant("first"), mutant("second", "x = 3;"), mutant("third", "x = 4;"))
    assert ending.interrupted
    assert list(ending.records) == ["first"]
    assert len(lab.path.read_text().splitlines()) == 1


def test_a_workshop_that_fails_ends_the_run(lab: Lab) -> None:
    lab.workshop.fails = LabError("the guest is gone")
    with pytest.raises(LabError, match="the guest is gone"):
        lab.run(mutant("first"))
    assert not lab.tried


def test_a_trial_that_fails_ends_the_run_with_most_still_to_build(lab: Lab) -> None:
    def fail(trial: Trial, bench: Bench) -> None:
        if trial.mutant == "m0":
            raise LabError("no guest any more")

    lab.before = fail
    lab.workshop.takes = 0.2
    with pytest.raises(LabError, match="no guest any more"):
        lab.run(*(mutant(f"m{i}", f"x = {i};") for i in range(20)))
    assert len(lab.workshop.built) < 10


def test_a_scenario_that_is_not_there_is_told(lab: Lab) -> None:
    with pytest.raises(UsageError, match="g/three \\(mutant first\\)"):
        lab.run(mutant("first", scenarios=("g/three",)))

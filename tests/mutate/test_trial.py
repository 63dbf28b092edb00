"""A trial: scenarios until one is red, and what each verdict says of the module."""

from __future__ import annotations

import base64
import io
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.guest.identity import Identity
from lab.image import DEFAULT_KERNEL
from lab.mutate.records import Outcome
from lab.mutate.trial import Bench, ForeignModule, Trial, packed, try_scenarios
from lab.runner.folder import RunFolder
from lab.runner.scenario_run import Place
from lab.runner.stop import Interrupted, Stop
from lab.runner.verdict import ScenarioResult, Verdict
from lab.scenario.load import parse_scenario
from lab.scenario.scenario import Scenario

SCENARIO = "summary: Nothing at all is done\nsteps: [{name: x, exec: {argv: ['true']}}]\n"
IDENTITY = Identity("qemu", "tcg", "image", "6.1.0", "initramfs", "none", "agent", "command")


class Lab:
    """Runs no scenario: it takes the next verdict that is prepared for its name."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.verdicts: dict[str, list[Verdict]] = {}
        self.places: list[Place] = []
        self.stop = Stop()
        self._folder = folder
        self.each: list[str] = []
        monkeypatch.setattr("lab.runner.every_io.run_scenario", self._run)
        monkeypatch.setattr("lab.runner.every_io.run_each", self._run_each)

    def _run(
        self, scenario: Scenario, template: ForeignModule, place: Place, *_rest: object
    ) -> ScenarioResult:
        assert template.identity.module == "module-key"
        self.places.append(place)
        verdict = self.verdicts[scenario.name].pop(0)
        return ScenarioResult(scenario.name, verdict, reason=f"it {verdict}", duration=2.0)

    def _run_each(self, scenario: Scenario, *rest: Any) -> ScenarioResult:
        self.each.append(scenario.name)
        return self._run(scenario, *rest)

    def outcome(
        self, text: str = SCENARIO, kernel: str = DEFAULT_KERNEL, **verdicts: list[Verdict]
    ) -> tuple[Outcome, str]:
        self.verdicts = dict(verdicts)
        scenarios = tuple(parse_scenario(text, name, name) for name in verdicts)
        one = Trial("key", "mutant", Path("tree"), "module-key", scenarios)
        template: Any = SimpleNamespace(identity=IDENTITY)
        bench = Bench({None: template}, RunFolder(self._folder), self.stop, 1, kernel)
        record = try_scenarios(one, "modules", bench)
        assert (record.key, record.mutant) == ("key", "mutant")
        return record.outcome, record.scenario


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    return Lab(tmp_path, monkeypatch)


@pytest.mark.parametrize("red", [Verdict.FAILED, Verdict.SPLAT, Verdict.PANIC, Verdict.HANG])
def test_the_first_red_scenario_ends_it(lab: Lab, red: Verdict) -> None:
    outcome = lab.outcome(one=[Verdict.PASSED], two=[red], three=[Verdict.PASSED])
    assert outcome == (Outcome.KILLED, "two")
    assert [place.label for place in lab.places] == ["mutant/one", "mutant/two"]


def test_it_survives_only_if_all_are_green(lab: Lab) -> None:
    assert lab.outcome(one=[Verdict.PASSED], two=[Verdict.PASSED])[0] is Outcome.SURVIVED


def test_what_says_nothing_of_the_module_is_tried_again(lab: Lab) -> None:
    assert lab.outcome(one=[Verdict.ERROR, Verdict.PASSED])[0] is Outcome.SURVIVED
    assert lab.outcome(two=[Verdict.LOST, Verdict.FAILED])[0] is Outcome.KILLED
    assert [place.repeat for place in lab.places] == [1, 2, 1, 2]


def test_an_error_of_the_lab_is_no_kill(lab: Lab) -> None:
    assert lab.outcome(one=[Verdict.ERROR] * 2, two=[])[0] is Outcome.UNCLEAR


def test_a_guest_that_is_lost_twice_is_one(lab: Lab) -> None:
    assert lab.outcome(one=[Verdict.LOST] * 2)[0] is Outcome.KILLED


def test_what_is_skipped_is_no_survival(lab: Lab) -> None:
    assert lab.outcome(one=[Verdict.SKIPPED])[0] is Outcome.UNCLEAR
    assert lab.outcome(two=[Verdict.SKIPPED], three=[Verdict.FAILED])[0] is Outcome.KILLED
    assert lab.outcome(four=[Verdict.PASSED], five=[Verdict.SKIPPED])[0] is Outcome.SURVIVED


def test_a_stopped_run_has_no_outcome(lab: Lab) -> None:
    lab.stop.request()
    with pytest.raises(Interrupted):
        lab.outcome(one=[Verdict.FAILED])


def test_where_each_io_is_to_fail_each_does(lab: Lab) -> None:
    text = f"{SCENARIO}disks: {{a: {{size: 1MiB}}}}\nfail_each: {{disks: [a]}}\n"
    assert lab.outcome(text, one=[Verdict.FAILED])[0] is Outcome.KILLED
    assert lab.each == ["one"]
    assert lab.outcome(one=[Verdict.PASSED])[0] is Outcome.SURVIVED
    assert lab.each == ["one"]


def test_a_trial_is_of_its_kernel(lab: Lab) -> None:
    lab.outcome(one=[Verdict.PASSED])
    lab.outcome(one=[Verdict.PASSED], kernel="6.1-kcsan")
    usual, slow = lab.places
    assert (usual.kernel, usual.command) == ("6.1", "blksnap-lab mutate mutant")
    assert (slow.kernel, slow.command) == (
        "6.1-kcsan",
        "blksnap-lab mutate --kernel=6.1-kcsan mutant",
    )
    assert slow.patience == 3 * usual.patience


def test_modules_are_packed_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "a.ko").write_bytes(b"first")
    (tmp_path / "b.ko").write_bytes(b"second")
    archive = io.BytesIO(base64.b64decode(packed(tmp_path)))
    with tarfile.open(fileobj=archive, mode="r:gz") as tar:
        found = {name: tar.extractfile(name) for name in tar.getnames()}
        assert {name: file.read() for name, file in found.items() if file} == {
            "a.ko": b"first",
            "b.ko": b"second",
        }

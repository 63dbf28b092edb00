"""Mutants in real guests: one that is killed, and a change that harms nobody and so survives."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.cache import Cache
from lab.cli.options import MODULE, SCENARIOS
from lab.guest.prepare import prepare
from lab.guest.settings import GuestSettings
from lab.mutate.judgement import Fate, fate_of
from lab.mutate.mutants import LIST, Mutant, load_mutants
from lab.mutate.records import Outcome, Records
from lab.mutate.session import Ending, Plan, run_mutants, used_scenarios
from lab.mutate.workshop import Workshop
from lab.pytest_plugin.session import GUESTS
from lab.scenario.load import find_scenarios, load_all
from lab.static import prepare_toolbox

pytestmark = [pytest.mark.guest, pytest.mark.toolbox, pytest.mark.timeout(3600)]

SCENARIO = "abi/unknown"
KILLED = next(one for one in load_mutants(MODULE / LIST) if one.id == "ctrl-unknown-errno")
HARMLESS = Mutant(
    id="harmless",
    file="ctrl.c",
    was="return -ENOTTY;",
    now="return -ENOTTY; /* no such command */",
    breaks="nothing: it is a comment",
    scenarios=(SCENARIO,),
)
BROKEN = Mutant(
    id="broken",
    file="ctrl.c",
    was="return -ENOTTY;",
    now="return nothing;",
    breaks="the build, as there is no such thing",
    scenarios=(SCENARIO,),
)


def run(mutants: tuple[Mutant, ...], results: Path, told: list[str]) -> Ending:
    cache = Cache()
    template = prepare(GuestSettings(module=None), cache=cache)
    scenarios = used_scenarios(mutants, load_all(find_scenarios(SCENARIOS), SCENARIOS))
    plan = Plan(mutants, scenarios, MODULE, {None: template}, results, GUESTS)
    records = Records(results / "mutants.jsonl")
    with cache.scratch("workshop") as folder:
        workshop = Workshop(prepare_toolbox(cache), template.image, folder)
        return run_mutants(
            plan, records, workshop.build, lambda record, *_: told.append(record.mutant)
        )


def test_a_mutant_is_killed_and_a_comment_survives(tmp_path: Path) -> None:
    mutants = (BROKEN, KILLED, HARMLESS)
    told: list[str] = []
    ending = run(mutants, tmp_path, told)
    fates = {one.id: fate_of(one, ending.records[one.id], ending.as_it_is) for one in mutants}
    assert {name: judged.fate for name, judged in fates.items()} == {
        BROKEN.id: Fate.INVALID,
        KILLED.id: Fate.KILLED,
        HARMLESS.id: Fate.SURVIVED,
    }
    assert "error:" in fates[BROKEN.id].why
    assert ending.records[KILLED.id].scenario == SCENARIO
    assert ending.records[KILLED.id].verdict == "failed"
    assert ending.as_it_is[SCENARIO].outcome is Outcome.SURVIVED
    assert sorted(told[:3]) == sorted(fates)
    assert told[3:] == [""]

"""A small run as events."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.runner.events import (
    Event,
    GuestReady,
    RunFinished,
    RunStarted,
    ScenarioFinished,
    ScenarioStarted,
    StageProgress,
    StepStarted,
)
from lab.runner.verdict import Finding, ScenarioResult, Verdict, count_verdicts

REASONS = {
    Verdict.FAILED: "steps[3] (read_image): image of a in s, sector 64: found zeros; must be x",
    Verdict.SPLAT: "kernel log: WARNING: WARNING: CPU: 0 \x1b[0m & <odd>",
    Verdict.SKIPPED: "needs the debug kernel",
}


@pytest.fixture
def results(tmp_path: Path) -> list[ScenarioResult]:
    """One scenario of each verdict, in two groups."""
    made = []
    for number, verdict in enumerate(Verdict):
        reason = REASONS.get(verdict, "" if verdict is Verdict.PASSED else "it went wrong")
        bad = verdict not in (Verdict.PASSED, Verdict.SKIPPED)
        findings = (Finding(verdict, "steps[3]", reason, ("line 1", "line 2")),) if bad else ()
        if verdict is Verdict.FAILED:
            findings += (Finding(Verdict.FAILED, "module unloaded", "EBUSY"),)
        made.append(
            ScenarioResult(
                name=f"{'cbt' if number % 2 else 'overflow'}/{verdict.value}",
                verdict=verdict,
                kernel="6.1",
                reason=reason,
                findings=findings,
                duration=number * 1.25,
                folder=tmp_path / verdict.value,
                proves=("K18", "K19"),
                command=f"blksnap-lab run x/{verdict.value}",
                kept="blksnap-lab shell --kept x" if verdict is Verdict.FAILED else "",
            )
        )
    return made


@pytest.fixture
def events(tmp_path: Path, results: list[ScenarioResult]) -> list[Event]:
    """What a run of them tells."""
    names = tuple(result.name for result in results)
    told: list[Event] = [
        RunStarted(folder=str(tmp_path), command="blksnap-lab run", scenarios=names, time=100.0),
        StageProgress(stage="module", detail="compiling a.c", fraction=0.1, time=101.0),
        StageProgress(stage="module", detail="compiling b.c", fraction=0.2, time=102.0),
        GuestReady(facts={"kernel_release": "6.1", "accel": "tcg", "module": "0123"}),
    ]
    for result in results:
        told.append(ScenarioStarted(scenario=result.name, title="t", steps=3))
        told.append(
            StepStarted(
                scenario=result.name,
                repeat=1,
                index=0,
                path="steps[0]",
                verb="write",
                summary="write",
            )
        )
        told.append(ScenarioFinished(scenario=result.name, repeat=1, result=result))
    told.append(
        RunFinished(
            duration=12.5,
            counts=count_verdicts(results),
            green=False,
            interrupted=True,
            not_run=("power/clean-reboot",),
            exit_status=1,
            folder=str(tmp_path),
        )
    )
    return told

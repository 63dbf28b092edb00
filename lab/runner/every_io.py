"""Runs a scenario once for each of its I/Os, which fails in that run (`fail_each`).

The first run tells which I/Os there are; it must pass. Each other run has a clone and a folder of
its own; as many run at a time as seats are free. One verdict comes of all, that of the first run
that did not pass, and a table of all I/Os: every-io.txt, every-io.json.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from lab.runner.bus import Bus
from lab.runner.folder import Folder
from lab.runner.ports import Template
from lab.runner.scenario_run import Place, attempt
from lab.runner.stop import Stop
from lab.runner.verdict import Finding, ScenarioResult, Verdict
from lab.scenario.scenario import FailEach, Scenario
from lab.tap.record import Io, Tap

RECORD = "record"
LEAST_REACHED = 0.75
"""Share of the runs in which the fault must have happened; I/Os that are under way at once may be
joined otherwise in another run."""


@dataclass(frozen=True)
class Row:
    """One I/O: what came of its failure."""

    io: Io
    reached: bool
    said: tuple[str, ...]
    verdict: Verdict
    reason: str
    seconds: float
    kept: str

    def __str__(self) -> str:
        said = "; ".join(self.said) if self.reached else "NOT REACHED"
        io = self.io
        place = f"{io.disk:8} {io.op:12} {io.sector:>8}+{io.count:<6} {io.nth:>2}."
        return f"{place}  {self.verdict:8} {said or 'nobody noticed'}  {self.reason}".rstrip()


def run_each(
    scenario: Scenario, template: Template, place: Place, bus: Bus, stop: Stop
) -> ScenarioResult:
    """All runs of one scenario; errors as of run_scenario()."""
    assert scenario.fail_each is not None  # the caller saw it
    began = time.monotonic()
    with place.seats:
        record = Tap()
        first, _ = attempt(scenario, template, replace(place, tap=record), bus, stop)
    if first.verdict is not Verdict.PASSED:
        return first
    ios = sorted(record.ios)
    chosen = choose(ios, scenario.fail_each)
    silent = Bus(())

    def one(number: int) -> Row:
        io, tap = chosen[number], Tap(chosen[number])
        inner = replace(place, folder=_folder(place.folder, number), tap=tap)
        with place.seats:
            stop.check()
            result, said = attempt(scenario, template, inner, silent, stop)
        return Row(io, tap.hit, said, result.verdict, result.reason, result.duration, result.kept)

    with ThreadPoolExecutor(place.jobs, thread_name_prefix="each") as pool:
        rows = list(pool.map(one, range(len(chosen))))
    result = _result(scenario.fail_each, place, first, ios, rows)
    result = replace(result, duration=time.monotonic() - began)
    place.folder.write_json("verdict.json", result)
    return result


def choose(ios: Sequence[Io], wanted: FailEach) -> list[Io]:
    """All I/Os, or as many as are allowed, drawn by the seed; in order."""
    if len(ios) <= wanted.limit:
        return list(ios)
    return sorted(random.Random(wanted.seed).sample(list(ios), wanted.limit))


def _folder(folder: Folder, number: int) -> Folder:
    path = folder.path / f"io-{number + 1:03}"
    path.mkdir()
    return Folder(path)


def _result(
    wanted: FailEach,
    place: Place,
    first: ScenarioResult,
    ios: Sequence[Io],
    rows: Sequence[Row],
) -> ScenarioResult:
    kinds = Counter(f"{io.op} of {io.disk}" for io in ios)
    reached = sum(row.reached for row in rows)
    report = {
        "I/Os": len(ios),
        "kinds": dict(kinds),
        "runs": len(rows),
        "drawn with seed": wanted.seed if len(rows) < len(ios) else None,
        "fault happened in": reached,
        "table": str(place.folder.path / "every-io.txt"),
    }
    head = "".join(f"{key}: {value}\n" for key, value in report.items())
    place.folder.write_text("every-io.txt", head + "".join(f"{row}\n" for row in rows))
    place.folder.write_json("every-io.json", {"report": report, "rows": list(rows)})
    findings = [
        Finding(row.verdict, f"with a failed {row.io}", row.reason)
        for row in rows
        if row.verdict is not Verdict.PASSED
    ]
    if len(ios) < wanted.least:
        what = f"there are {len(ios)} I/Os; {wanted.least} needed"
        findings.append(Finding(Verdict.FAILED, RECORD, what))
    if reached < LEAST_REACHED * len(rows):
        what = f"the fault happened in {reached} of {len(rows)} runs only"
        findings.append(Finding(Verdict.FAILED, RECORD, what))
    result = replace(first, reports={**first.reports, "every I/O once": report})
    if findings:
        reason = f"{findings[0].where}: {findings[0].what}"
        verdict = findings[0].verdict
        kept = next((row.kept for row in rows if row.kept), "")
        result = replace(
            result, verdict=verdict, reason=reason, findings=tuple(findings), kept=kept
        )
    return result

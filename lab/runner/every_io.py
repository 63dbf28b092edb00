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
from lab.runner.scenario_run import Place, attempt, run_scenario
from lab.runner.stop import Stop
from lab.runner.verdict import Finding, ScenarioResult, Verdict
from lab.scenario.scenario import FailEach, Scenario
from lab.tap.record import Io, Tap

RECORD = "record"
TRIES = 3
"""Runs for an I/O until its fault happens: those that are under way at once may be joined otherwise
in another run, or not. One that has not failed by then is a finding."""


@dataclass(frozen=True)
class Row:
    """One I/O: what came of its failure. log: what the module said in the kernel log. tries: runs
    until it failed; the last one counts."""

    io: Io
    reached: bool
    said: tuple[str, ...]
    log: tuple[str, ...]
    verdict: Verdict
    reason: str
    seconds: float
    kept: str
    tries: int = 1

    def __str__(self) -> str:
        said = "; ".join(self.said) if self.reached else "NOT REACHED"
        tries = f" (run {self.tries})" if self.tries > 1 else ""
        io = self.io
        place = f"{io.disk:8} {io.op:12} {io.sector:>8}+{io.count:<6} {io.nth:>2}."
        what = f"{said or 'nobody noticed'}{tries}"
        line = f"{place}  {self.verdict:8} {what}  {self.reason}".rstrip()
        return "\n".join((line, *(f"    {one}" for one in self.log)))


def run_whole(
    scenario: Scenario, template: Template, place: Place, bus: Bus, stop: Stop
) -> ScenarioResult:
    """A scenario as it says: once, or once for each of its I/Os; errors as of run_scenario()."""
    run_it = run_scenario if scenario.fail_each is None else run_each
    return run_it(scenario, template, place, bus, stop)


def run_each(
    scenario: Scenario, template: Template, place: Place, bus: Bus, stop: Stop
) -> ScenarioResult:
    """All runs of one scenario; errors as of run_scenario()."""
    assert scenario.fail_each is not None  # the caller saw it
    began = time.monotonic()
    with place.seats:
        record = Tap()
        first = attempt(scenario, template, replace(place, tap=record), bus, stop).result
    if first.verdict is not Verdict.PASSED:
        return first
    ios = sorted(record.ios)
    chosen = choose(ios, scenario.fail_each)
    silent = Bus(())

    def once(number: int, nth: int) -> Row:
        io, tap = chosen[number], Tap(chosen[number])
        inner = replace(place, folder=_folder(place.folder, number, nth), tap=tap)
        with place.seats:
            stop.check()
            made = attempt(scenario, template, inner, silent, stop)
        end = made.result
        what = (made.consequences, made.complaints, end.verdict, end.reason, end.duration, end.kept)
        return Row(io, tap.hit, *what, nth)

    def one(number: int) -> Row:
        for nth in range(1, TRIES + 1):
            row = once(number, nth)
            if row.reached or row.verdict is not Verdict.PASSED:
                break
        return row

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


def _folder(folder: Folder, number: int, nth: int) -> Folder:
    again = f"-run-{nth}" if nth > 1 else ""
    path = folder.path / f"io-{number + 1:03}{again}"
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
    missed = [str(row.io) for row in rows if not row.reached]
    reached = len(rows) - len(missed)
    report = {
        "I/Os": len(ios),
        "kinds": dict(kinds),
        "runs": len(rows),
        "drawn with seed": wanted.seed if len(rows) < len(ios) else None,
        "fault happened in": reached,
        "not in the first run": sum(row.tries > 1 for row in rows),
        "never happened": missed,
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
    if missed:
        what = f"only {reached} of {len(rows)} I/Os failed in any run; not: {'; '.join(missed)}"
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

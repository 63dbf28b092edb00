"""Makes results folders as a run leaves them, without running anything."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lab.model.disagreement import Disagreement
from lab.model.picture import Part, paint
from lab.model.seen import MapRun
from lab.report.jsonl import JsonLines
from lab.runner.events import (
    CheckFinished,
    Event,
    GuestReady,
    RunFinished,
    RunStarted,
    ScenarioFinished,
    ScenarioStarted,
    StepFinished,
    StepOutcome,
    as_record,
    plain,
)
from lab.runner.sampling import Latencies, cells_of
from lab.runner.verdict import Finding, ScenarioResult, Verdict, count_verdicts

NASTY = "</script></pre><img src=x onerror=\"document.title='owned'\"><!-- & {{ 1 }} \x1b[31m\x00"
"""What no page may obey."""
KEPT = "ci/lab shell --kept results/latest/x"
TRACE = "snapshot_take+0x55/0x100 [blksnap]"
BEGAN = 1_700_000_000.0


def unpacked(text: str) -> str:
    """What a page holds packed."""
    return zlib.decompress(base64.b64decode(text), -zlib.MAX_WBITS).decode()


@dataclass(frozen=True)
class Made:
    """One result of a made run. steps: how many; take: milliseconds that its take took."""

    name: str
    verdict: Verdict = Verdict.PASSED
    kernel: str = "6.1"
    repeat: int = 1
    duration: float = 8.0
    take: float = 40.0
    steps: int = 8
    reports: dict[str, object] = field(default_factory=dict)


def make_results(
    folder: Path, made: Sequence[Made], *, finished: bool = True, not_run: tuple[str, ...] = ()
) -> Path:
    """A results folder of a run of these; returns it."""
    folder.mkdir(parents=True)
    kernels = tuple(dict.fromkeys(one.kernel for one in made))
    results = [_result(folder, one, several=len(kernels) > 1) for one in made]
    names = tuple(dict.fromkeys(one.name for one in made))
    log = JsonLines()
    command = "ci/scenarios x"
    told: list[Event] = [
        RunStarted(
            folder=str(folder), command=command, scenarios=names, kernels=kernels, time=BEGAN
        )
    ]
    for kernel in kernels:
        facts = {"kernel_release": f"{kernel}.0-9", "accel": "tcg", "module": "m", "qemu": "QEMU 9"}
        told.append(GuestReady(facts=facts, kernel=kernel, time=BEGAN))
    for one, result in zip(made, results, strict=True):
        told += _scenario(one, result)
    if finished:
        told.append(
            RunFinished(
                duration=sum(one.duration for one in made),
                counts=count_verdicts(results),
                green=False,
                interrupted=bool(not_run),
                not_run=not_run,
                exit_status=1,
                folder=str(folder),
                time=BEGAN + 100,
            )
        )
    for event in told:
        log.handle(event)
    log.close()
    return folder


def _result(folder: Path, one: Made, *, several: bool) -> ScenarioResult:
    label = f"{one.kernel}/{one.name}" if several else one.name
    bad = one.verdict not in (Verdict.PASSED, Verdict.SKIPPED)
    what = f"image of a in s, sector 64: found zeros {NASTY}"
    detail = (f" {TRACE}  snapshot.c:243", NASTY)
    return ScenarioResult(
        name=one.name,
        verdict=one.verdict,
        kernel=one.kernel,
        reason="" if one.verdict is Verdict.PASSED else what,
        findings=(Finding(one.verdict, "steps[3] (read_image)", what, detail),) if bad else (),
        duration=one.duration,
        folder=folder / label,
        proves=("K18", "W-13"),
        repeat=one.repeat,
        command=f"ci/scenarios --kernel={one.kernel} {one.name}",
        reports=one.reports,
        label=label,
        kept=KEPT if one.verdict is Verdict.FAILED else "",
    )


def _scenario(one: Made, result: ScenarioResult) -> list[Event]:
    """The events of the run about it; its own files are written."""
    place: dict[str, Any] = {"scenario": one.name, "repeat": one.repeat, "kernel": one.kernel}
    folder = result.folder
    assert folder is not None
    if one.repeat > 1:
        folder = folder.with_name(f"{folder.name}.{one.repeat}")
    folder.mkdir(parents=True)
    events = [*_steps(one, place), *_checks(one, place)]
    lines = "".join(json.dumps(as_record(event)) + "\n" for event in events)
    (folder / "events.jsonl").write_text(lines)
    log = [f"<6>[   {10 + n}.000001] blksnap: line {n} of the log" for n in range(40)]
    log += [f"<4>[   50.000001] WARNING: CPU: 0 at snapshot.c:243 {TRACE}", f"<3>[ 51.0] {NASTY}"]
    (folder / "kernel.log").write_text("\n".join(log) + "\n")
    (folder / "console.log").write_text("\n".join(line[3:] for line in log) + "\r\n")
    (folder / "places.json").write_text(json.dumps({TRACE: "snapshot.c:243"}))
    (folder / "scenario.yaml").write_text(f"summary: what it does # {NASTY}\n")
    (folder / "figures.json").write_text(json.dumps(plain(_figures(one))))
    begin = ScenarioStarted(**place, title=f"What it does {NASTY}", steps=one.steps, time=BEGAN)
    end = ScenarioFinished(**place, result=result, time=BEGAN + one.duration)
    return [begin, end]


def _steps(one: Made, place: dict[str, Any]) -> list[Event]:
    each = one.duration / 2 / one.steps
    detail: dict[str, object] = {"milliseconds": one.take, "images": {"a": "/dev/x"}, "tries": 1}
    steps = [
        StepFinished(
            **place,
            index=index,
            path=f"steps[{index}]" if index % 3 else f"steps[9].repeat[{index}].steps[0]",
            verb="take" if index == 2 else "write",
            summary=f"step {index} {NASTY}" if index % 2 else "write",
            outcome=StepOutcome.DONE,
            duration=each,
            detail=detail if index == 2 else {"writes": index, "sectors": 8 * index},
            time=BEGAN + (index + 1) * each,
        )
        for index in range(one.steps)
    ]
    if one.verdict is Verdict.FAILED:
        wrong = {"error": f"found zeros {NASTY}", "lines": []}
        steps[-1] = replace(steps[-1], outcome=StepOutcome.FAILED, detail=wrong)
    return list(steps)


def _checks(one: Made, place: dict[str, Any]) -> list[Event]:
    return [
        CheckFinished(**place, check=f"check {number}", duration=0.1, time=BEGAN + one.duration)
        for number in range(14)
    ]


def _figures(one: Made) -> dict[str, object]:
    latencies = Latencies()
    for number in range(400):
        latencies.add(BEGAN + number / 100, one.take / 1000 if number > 200 else 0.001)
    found = [Disagreement("image of a in s", 64, 8, "sector", f"zeros {NASTY}", "write 1 to a (x)")]
    seen = [Part(0, 64, "write 1 to a (x)"), Part(64, 8, "zeros"), Part(72, 952, "write 2")]
    bad = one.verdict is Verdict.FAILED
    return {
        "maps": [_map_row(take) for take in range(1, 6)],
        "maps_left_out": 0,
        "snapshots": [
            {
                "name": "s",
                "devices": ["a"],
                "created": BEGAN + 1,
                "portion": 128,
                "taken": BEGAN + 2,
                "ended": BEGAN + 6,
                "fill": [[BEGAN + 2 + n / 10, n * 80, n * 100] for n in range(40)],
                "given": [[BEGAN + 1, 4096], [BEGAN + 3, 4096]],
                "events": [[BEGAN + 3, f"event low_space {NASTY}"], [BEGAN + 5, "corrupted"]],
            }
        ],
        "snapshots_left_out": 0,
        "latencies": [
            {
                "load": "writers",
                "device": "a",
                "slot": latencies.slot,
                "first": latencies.first,
                "longest": latencies.longest,
                "counts": [[*key, count] for key, count in sorted(latencies.counts.items())],
            }
        ],
        "disagreements": [paint(1024, found, seen)] if bad else [],
    }


def _map_row(take: int) -> dict[str, object]:
    runs = [MapRun(n * 8, 8, (n * 7 + take) % (take + 1)) for n in range(128)]
    per_cell, cells = cells_of(runs, 1024)
    return {
        "device": "a",
        "time": BEGAN + take,
        "takes": take,
        "generation": "0b1c",
        "number": take,
        "blocks": 1024,
        "block_size": 65536,
        "per_cell": per_cell,
        "cells": cells,
    }

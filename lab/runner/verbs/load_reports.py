"""What the report of a background load must be like, whatever the load was for."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from typing import Any

from lab.runner.context import Context, Load
from lab.runner.failures import StepFailed
from lab.scenario import steps_load as verbs

Detail = Mapping[str, object]
Report = Mapping[str, Any]
Describe = Callable[[int, int], str]
"""(tag, number of a write) -> which write that was, in words."""
READ_ERRORS: dict[verbs.ReadersExpect, set[int]] = {
    verbs.ReadersExpect.VALID: set(),
    verbs.ReadersExpect.VALID_OR_EIO: {errno.EIO},
    verbs.ReadersExpect.VALID_THEN_EIO: {errno.EIO},
    verbs.ReadersExpect.VALID_THEN_GONE: {errno.EIO, errno.ENODATA},
}
"""With which errors reads may fail; ENODATA: nothing could be read."""
LASTING = (verbs.ReadersExpect.VALID_THEN_EIO, verbs.ReadersExpect.VALID_THEN_GONE)
"""What readers expect that has a read fail, and allows none to succeed after it."""
LONGEST = "longest ms"
"""Under which name a step shows how long the slowest operation took."""
CYCLE_ERRORS: dict[str, set[int]] = {"take_cycle": set(), "freeze": {errno.EBUSY}}
"""With which errors a round may fail. EBUSY: frozen by somebody else, as by a take."""


def judge(load: Load, report: Report, describe: Describe, patience: float) -> Detail:
    """What a step shows of the report of a load that has ended. StepFailed for a wrong one.

    patience: see Deadline.
    """
    what = load.action.load
    if isinstance(what, verbs.Writers):
        return _judge_writers(what, load, report, patience)
    if isinstance(what, verbs.Readers):
        return _judge_readers(what, report, describe, patience)
    if isinstance(what, verbs.Memory):
        return _judge_memory(what, report)
    return _OTHERS.get(load.kind, _judge_rounds)(load.kind, report)


def _judge_rounds(_: str, report: Report) -> Detail:
    return {"rounds": report["last_n"]}


def _judge_answers(_: str, report: Report) -> Detail:
    if report["refused"]:
        why = [f"{one['why']} (errno {one['errno']})" for one in report["refused"]]
        raise StepFailed(f"an answer was refused: {why[0]}", why)
    # One may have been asked for before there was anybody to answer.
    began = int(report["began_ns"])
    lows = [one for one in report["events"] if one["kind"] == "low_space"]
    asked = [max(began, int(one["time_ns"])) for one in lows]
    given = [int(one["done_ns"]) for one in report["appends"]]
    longest = max((end - begin for begin, end in zip(asked, given, strict=False)), default=0)
    return {
        "appends": report["appended"],
        "low space events": len(asked),
        LONGEST: round(longest / 1e6, 1),
    }


def _judge_collect(_: str, report: Report) -> Detail:
    return {"rounds": report["rounds"], "in passing": report["passing"]}


def _judge_cycles(kind: str, report: Report) -> Detail:
    """Every round succeeded, but for what others who freeze at the same time may make of it."""
    wrong = [one for one in report["failures"] if one["errno"] not in CYCLE_ERRORS[kind]]
    if wrong:
        lines = [f"round {one['cycle']}: {one['message']}" for one in wrong]
        raise StepFailed(f"a round of {kind} failed: {wrong[0]['message']}", lines)
    return {"rounds": report["cycles"], "busy": report["failure_count"]}


def _judge_memory(what: verbs.Memory, report: Report) -> Detail:
    growth = int(report["most"]) - int(report["first"])
    if growth > what.growth:
        kinds = [
            f"{kind}: {n} objects, {size} bytes" for kind, (n, size) in report["kinds"].items()
        ]
        raise StepFailed(
            f"the module held {growth} bytes more than at the start; at most {what.growth} allowed",
            kinds,
        )
    return {"looks": report["samples"], "growth": growth}


def _judge_writers(what: verbs.Writers, load: Load, report: Report, patience: float) -> Detail:
    """The original never fails, and no write takes longer than is allowed."""
    if load.refused:
        lines = [
            f"write {write.seq}, sectors {write.sector}+{write.count}: "
            f"{errno.errorcode.get(write.errno, write.errno)}"
            for write in load.refused[:40]
        ]
        raise StepFailed(f"{len(load.refused)} writes failed, first {lines[0]}", lines)
    return {"writes": report["finished"], LONGEST: _longest("write", what, report, patience)}


def _longest(
    name: str, what: verbs.Writers | verbs.Readers, report: Report, patience: float
) -> float:
    """Milliseconds that the slowest one took. StepFailed if it took too long."""
    latency = int(report["max_latency_ns"]) / 1e6
    if what.max_latency_ms is not None and latency > what.max_latency_ms * patience:
        most = what.max_latency_ms * patience
        raise StepFailed(f"a {name} took {latency:.0f} ms; at most {most:.0f} ms allowed")
    return round(latency, 1)


def _judge_readers(
    what: verbs.Readers, report: Report, describe: Describe, patience: float
) -> Detail:
    """Every sector was right; no read failed that must not, one did if one must; none was slow."""
    errors = {int(number): int(count) for number, count in report["errors"].items()}
    if report["bad"]:
        lines = [
            f"sector {sector}: {why}" + (f": {describe(*held)}" if held else "")
            for sector, why, *held in report["bad"]
        ]
        raise StepFailed(f"{report['bad_count']} wrong sectors were read: {lines[0]}", lines)
    allowed = READ_ERRORS[what.expect]
    wrong = {errno.errorcode.get(n, n): count for n, count in errors.items() if n not in allowed}
    if wrong:
        raise StepFailed(f"reads failed: {wrong}")
    if what.expect in LASTING and not errors:
        raise StepFailed(f"none of {report['reads']} reads failed; in the end they must")
    longest = _longest("read", what, report, patience)
    return {"reads": report["reads"], "errors": errors, LONGEST: longest}


_OTHERS: dict[str, Callable[[str, Report], Detail]] = {
    "answer": _judge_answers,
    "take_cycle": _judge_cycles,
    "freeze": _judge_cycles,
    "collect": _judge_collect,
}


def compare_events(context: Context, snapshot: str, found: int) -> None:
    """StepFailed unless there were as many low-space events as the model predicts."""
    fewest, most = context.model.low_space_events(snapshot)
    if not fewest <= found <= most:
        right = str(fewest) if fewest == most else f"{fewest} to {most}"
        raise StepFailed(f"{found} low-space events; must be {right} (K19)")


def why_failed(report: Report) -> list[str]:
    """What ended threads of a load before their time."""
    return [f"errno {one['errno']}: {one['message']}" for one in report["failed"]]

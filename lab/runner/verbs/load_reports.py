"""What the report of a background load must be like, whatever the load was for."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any

from lab.runner.context import Context, Load
from lab.runner.failures import StepFailed
from lab.scenario import steps_load as verbs

Detail = Mapping[str, object]
Report = Mapping[str, Any]
READ_ERRORS: dict[verbs.ReadersExpect, set[int]] = {
    verbs.ReadersExpect.VALID: set(),
    verbs.ReadersExpect.VALID_THEN_EIO: {errno.EIO},
    verbs.ReadersExpect.VALID_THEN_GONE: {errno.EIO, errno.ENODATA},
}
"""With which errors reads may fail; ENODATA: nothing could be read."""


def judge(load: Load, report: Report) -> Detail:
    """What a step shows of the report of a load that has ended. StepFailed for a wrong one."""
    if load.kind == "writers":
        return _judge_writers(load, report)
    if load.kind == "readers" and isinstance(load.action.load, verbs.Readers):
        return _judge_readers(load.action.load, report)
    if load.kind == "answer":
        if report["refused"]:
            why = [f"{one['why']} (errno {one['errno']})" for one in report["refused"]]
            raise StepFailed(f"an answer was refused: {why[0]}", why)
        kinds = [one["kind"] for one in report["events"]]
        return {"appends": report["appended"], "low space events": kinds.count("low_space")}
    return {"rounds": report["last_n"]}


def _judge_writers(load: Load, report: Report) -> Detail:
    """The original never fails."""
    if load.refused:
        lines = [
            f"write {write.seq}, sectors {write.sector}+{write.count}: "
            f"{errno.errorcode.get(write.errno, write.errno)}"
            for write in load.refused[:40]
        ]
        raise StepFailed(f"{len(load.refused)} writes failed, first {lines[0]}", lines)
    return {"writes": report["finished"]}


def _judge_readers(what: verbs.Readers, report: Report) -> Detail:
    """Every sector was right, no read failed that must not, none took too long."""
    latency = int(report["max_latency_ns"]) / 1e6
    errors = {int(number): int(count) for number, count in report["errors"].items()}
    if report["bad"]:
        lines = [f"sector {sector}: {why}" for sector, why in report["bad"]]
        raise StepFailed(f"{report['bad_count']} wrong sectors were read: {lines[0]}", lines)
    allowed = READ_ERRORS[what.expect]
    wrong = {errno.errorcode.get(n, n): count for n, count in errors.items() if n not in allowed}
    if wrong:
        raise StepFailed(f"reads failed: {wrong}")
    if what.max_latency_ms is not None and latency > what.max_latency_ms:
        raise StepFailed(f"a read took {latency:.0f} ms; at most {what.max_latency_ms} ms allowed")
    return {"reads": report["reads"], "errors": errors, "longest ms": round(latency, 1)}


def compare_events(context: Context, snapshot: str, found: int) -> None:
    """StepFailed unless there were as many low-space events as the model predicts."""
    fewest, most = context.model.low_space_events(snapshot)
    if not fewest <= found <= most:
        right = str(fewest) if fewest == most else f"{fewest} to {most}"
        raise StepFailed(f"{found} low-space events; must be {right} (K19)")


def why_failed(report: Report) -> list[str]:
    """What ended threads of a load before their time."""
    return [f"errno {one['errno']}: {one['message']}" for one in report["failed"]]

"""The report of a load is judged, whatever the scenario asks for."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from lab.model.seen import LoadWrite
from lab.runner.checks import stop_loads
from lab.runner.context import Load
from lab.runner.failures import StepFailed
from lab.runner.verbs import load_reports, loads
from lab.runner.verbs.loads import stop_load, wait_load
from lab.runner.verbs.order import check_order
from lab.scenario.steps_fs import CheckOrder
from lab.scenario.steps_load import StartLoad, StopLoad, WaitLoad

READERS: dict[str, Any] = {
    "reads": 9,
    "errors": {},
    "max_latency_ns": 5_000_000,
    "bad": [],
    "bad_count": 0,
}


def judge(load: Load, report: Mapping[str, Any], patience: float = 1) -> Mapping[str, object]:
    return load_reports.judge(load, report, lambda tag, seq: f"write {seq} of {tag}", patience)


def load(kind: str, **what: object) -> Load:
    return Load("l", kind, StartLoad.model_validate({"name": "l", kind: what}))


def test_readers_that_saw_only_right_sectors_pass() -> None:
    assert judge(load("readers", device="a"), READERS)["reads"] == 9


@pytest.mark.parametrize(
    ("report", "what"),
    [
        ({"bad": [[8, "garbage"]], "bad_count": 3}, "3 wrong sectors were read: sector 8: garbage"),
        (
            {"bad": [[8, "holds a later write", 2, 7]], "bad_count": 1},
            "a later write: write 7 of 2",
        ),
        ({"errors": {"5": 2}}, "reads failed: {'EIO': 2}"),
        ({"max_latency_ns": 2_000_000_000}, "a read took 2000 ms"),
    ],
)
def test_readers_fail(report: dict[str, Any], what: str) -> None:
    readers = load("readers", device="a", max_latency_ms=1000)
    with pytest.raises(StepFailed, match=what):
        judge(readers, READERS | report)


def test_readers_of_a_spoiled_image_may_see_eio_and_nothing_else() -> None:
    readers = load("readers", device="a", expect="valid_then_eio")
    judge(readers, READERS | {"errors": {"5": 2}})
    with pytest.raises(StepFailed, match="ENOMEM"):
        judge(readers, READERS | {"errors": {"5": 2, "12": 1}})


@pytest.mark.parametrize("expect", ["valid_then_eio", "valid_then_gone"])
def test_readers_of_an_image_that_is_to_end_must_see_it_end(expect: str) -> None:
    with pytest.raises(StepFailed, match="none of 9 reads failed; in the end they must"):
        judge(load("readers", device="a", expect=expect), READERS)
    judge(load("readers", device="a", expect="valid_or_eio"), READERS)


def test_a_write_to_an_original_never_fails() -> None:
    writers = load("writers", device="a")
    report = {"finished": 3, "max_latency_ns": 0}
    judge(writers, report)
    writers.refused.append(LoadWrite(7, 16, 8, 1, 2, 28))
    with pytest.raises(StepFailed, match=r"1 writes failed, first write 7, sectors 16\+8: ENOSPC"):
        judge(writers, report)


def test_a_write_may_be_too_slow() -> None:
    writers = load("writers", device="a", max_latency_ms=1000)
    assert judge(writers, {"finished": 3, "max_latency_ns": 9e8})["longest ms"] == 900
    with pytest.raises(StepFailed, match="a write took 1100 ms; at most 1000 ms"):
        judge(writers, {"finished": 3, "max_latency_ns": 1.1e9})
    judge(writers, {"finished": 3, "max_latency_ns": 1.9e9}, patience=2)
    with pytest.raises(StepFailed, match="a write took 2100 ms; at most 2000 ms"):
        judge(writers, {"finished": 3, "max_latency_ns": 2.1e9}, patience=2)


def test_memory_may_grow_so_much_and_no_more() -> None:
    memory = load("memory", growth="1MiB")
    report = {"samples": 9, "first": 500, "most": 500 + (1 << 20), "kinds": {"chunk": [2, 96]}}
    assert judge(memory, report) == {"looks": 9, "growth": 1 << 20}
    with pytest.raises(StepFailed, match="held 1048577 bytes more"):
        judge(memory, report | {"first": 499})


def test_rounds_fail_for_nothing_but_a_file_system_that_is_frozen() -> None:
    busy = {"cycle": 3, "errno": 16, "operation": None, "message": "busy"}
    report = {"cycles": 9, "failures": [busy], "failure_count": 1}
    freeze = load("freeze", at="/mnt/a")
    take = load("take_cycle", devices=["a"], storage="b", within={"size": "1MiB"})
    assert judge(freeze, report) == {"rounds": 9, "busy": 1}
    with pytest.raises(StepFailed, match="a round of take_cycle failed: busy"):
        judge(take, report)
    with pytest.raises(StepFailed, match="a round of freeze failed: no such"):
        judge(freeze, report | {"failures": [busy, busy | {"errno": 22, "message": "no such"}]})


def test_the_latency_of_an_answer_begins_with_its_event() -> None:
    told = [("low_space", 1e6), ("low_space", 9e6), ("corrupted", 5e7), ("low_space", 6e7)]
    report = {
        "refused": [],
        "appended": 2,
        "began_ns": 2e6,
        "appends": [{"done_ns": 3.45e7}, {"done_ns": 4.2e7}],
        "events": [{"kind": kind, "time_ns": time} for kind, time in told],
    }
    found = judge(load("answer", device="store"), report)
    assert found == {"appends": 2, "low space events": 3, "longest ms": 33}


def test_an_answer_that_was_refused_fails() -> None:
    answer = load("answer", device="store")
    report: dict[str, Any] = {"refused": [], "began_ns": 0, "appended": 0}
    report |= {"appends": [], "events": []}
    assert judge(answer, report)["longest ms"] == 0
    with pytest.raises(StepFailed, match="used up"):
        judge(answer, report | {"refused": [{"why": "used up", "errno": None}]})


class Impatient:
    """A context whose only load has done one thing and will not do another."""

    def __init__(self, waiting: Load) -> None:
        self.loads = {waiting.name: waiting}
        self.deadline = self

    def request(self, op: str, args: dict[str, Any]) -> dict[str, Any]:
        assert (op, args["name"], args["start"]) == ("load_poll", "l", loads.NONE)
        return {"appended": 1, "running": 1}

    def left(self) -> float:
        raise TimeoutError


def test_what_a_load_did_before_the_wait_counts_from_its_start_only() -> None:
    context: Any = Impatient(load("answer", device="store"))
    for since, operations, done in (("start", 1, True), ("start", 2, False), ("now", 1, False)):
        wait = WaitLoad.model_validate({"load": "l", "operations": operations, "since": since})
        if done:
            assert wait_load(context, wait) == {"operations": 1}
        else:
            with pytest.raises(TimeoutError):
                wait_load(context, wait)


class Quiet:
    """A context whose loads end at once; a file ring has come to round 7, and to 6 in its last."""

    def __init__(self, *running: Load) -> None:
        self.loads = {load.name: load for load in running}
        self.ended: dict[str, Load] = {}
        self.reports: dict[str, object] = {}
        self.model = self
        self.deadline = SimpleNamespace(patience=1.0)
        self.counters = iter((7, 7, 6))

    def describe(self, tag: int, seq: int) -> str:
        return f"write {seq} of {tag}"

    def request(self, op: str, args: dict[str, Any]) -> dict[str, Any]:
        if op == "load_stop":
            return {"report": READERS | {"last_n": 7, "failed": []}}
        assert op == "read_file"
        return {"text": f"{next(self.counters):020}\n"}


def test_the_slowest_operation_is_reported_under_its_label() -> None:
    context: Any = Quiet(load("readers", device="a"))
    stop_load(context, StopLoad(load="l", report="slowest"))
    assert context.reports == {"slowest": 5}


@pytest.mark.parametrize(("at_least", "right"), [(6, True), (7, False)])
def test_the_order_of_a_ring_is_checked_by_what_it_had_done_also_when_it_has_ended(
    at_least: int, right: bool
) -> None:
    files = ("/mnt/a", "/mnt/b", "/mnt/c")
    ring = load("file_ring", files=files)
    ring.marks["s"] = (at_least, 7)
    context: Any = Quiet(ring)
    stop_load(context, StopLoad(load="l"))
    assert context.loads == {}
    check = CheckOrder(load="l", files=files)
    if right:
        check_order(context, check)
    else:
        with pytest.raises(StepFailed, match="at least 7, done before"):
            check_order(context, check)


def test_at_the_end_every_load_is_stopped_whatever_another_one_did(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    context: Any = Impatient(load("readers", device="a"))
    context.loads = dict.fromkeys(["wrong", "right", "bad"], load("readers", device="a"))
    stopped = []

    def stop(_context: object, name: str) -> None:
        stopped.append(name)
        if name != "right":
            raise StepFailed(f"{name} has failed", [f"evidence of {name}"])

    monkeypatch.setattr(loads, "stop", stop)
    with pytest.raises(StepFailed, match=r"^wrong has failed$") as caught:
        stop_loads(context)
    assert stopped == ["wrong", "right", "bad"]
    assert caught.value.detail == (
        *("wrong has failed", "evidence of wrong"),
        *("bad has failed", "evidence of bad"),
    )

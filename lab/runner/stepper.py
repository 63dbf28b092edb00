"""Does the steps of a scenario one after the other; each is an event with start, end and result."""

from __future__ import annotations

import errno
import itertools
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from lab.guest.channel import AgentFailure
from lab.runner import tolerance
from lab.runner.context import Context
from lab.runner.events import StepFinished, StepOutcome, StepStarted
from lab.runner.failures import StepFailed, describe
from lab.runner.journal import Journal
from lab.runner.starve import MOST_ALLOCATIONS, Outcome, starved
from lab.runner.verbs import EXECUTORS, events, loads, power
from lab.scenario.step import ExpectError, PowerCut, Repeat, Starve, Step
from lab.scenario.values import errno_numbers

Detail = Mapping[str, object]
NESTED = 1_000_003
"""Rounds of an outer repeat are this far apart, so that those of an inner one all differ."""
COMPARING = frozenset(
    {"read", "read_image", "digest", "read_cbt", "backup", "check_backup", "check_overflow"}
    | {"destroy", "wait_event", "assemble"}
)
"""Verbs that compare with the model, which has to know what the loads have done by then."""
AfterStep = Callable[[str], None]
"""Called after every step with the place of that step; may raise."""


def _refuse_haste(step: Step, took: float) -> None:
    if step.at_least is not None and took < step.at_least:
        raise StepFailed(f"it took {took:.2f} s; at least {step.at_least:g} s needed")


class Stepper:
    """Executes steps within their limits. Whatever goes wrong is raised; the step is recorded."""

    def __init__(self, context: Context, journal: Journal, after: AfterStep) -> None:
        self._context = context
        self._journal = journal
        self._after = after
        self._count = 0
        self.where = ""

    def run_all(self) -> None:
        """All steps of the scenario."""
        for index, step in enumerate(self._context.scenario.steps):
            self.run(step, f"steps[{index}]")

    def run(self, step: Step, path: str) -> Detail:
        """One step, and those within it; returns what it found out."""
        index, self._count = self._count, self._count + 1
        self.where = f"{path} ({step.title})"
        self._context.where = f"{path}.{step.verb}"
        place: dict[str, Any] = {
            **self._journal.place,
            "index": index,
            "path": path,
            "verb": step.verb,
            "summary": step.title,
        }
        self._journal.emit(StepStarted(**place))
        began = time.monotonic()
        try:
            with self._context.deadline.step(self._limit(step)):
                detail = self._do(step, path)
                _refuse_haste(step, time.monotonic() - began)
        except Exception as error:
            took = time.monotonic() - began
            wrong = _evidence(error)
            failed = StepOutcome.FAILED
            self._journal.emit(StepFinished(**place, outcome=failed, duration=took, detail=wrong))
            raise
        outcome = StepOutcome.EXPECTED_ERROR if step.expect_error else StepOutcome.DONE
        took = time.monotonic() - began
        self._context.cuts.took(step, took)
        self._context.figures.look(self._context)
        self._journal.emit(StepFinished(**place, outcome=outcome, duration=took, detail=detail))
        self._after(self.where)
        return detail

    def _limit(self, step: Step) -> float:
        if step.timeout is not None:
            return step.timeout
        scenario = self._context.scenario
        several = step.repeat is not None or step.starve is not None
        return scenario.timeout if several else scenario.step_timeout

    def _do(self, step: Step, path: str) -> Detail:
        if step.expect_error is not None:
            return self._expect_error(step.expect_error, path)
        if step.repeat is not None:
            return self._repeat(step.repeat, path)
        if step.power_cut is not None:
            return self._power_cut(step.power_cut, path)
        if step.starve is not None:
            return self._starve(step.starve, path)
        if self._context.loads and step.verb in COMPARING:
            loads.tell_all(self._context)
        work = partial(EXECUTORS[step.verb], self._context)
        if self._context.tap is not None and self._context.tap.fault is not None:
            return tolerance.do(self._context, step, work)
        return work(step.action)

    def _repeat(self, repeat: Repeat, path: str) -> Detail:
        context, outer = self._context, self._context.turn
        took: list[float] = []
        start = time.monotonic()
        try:
            for number in itertools.count():
                began = time.monotonic()
                if number == repeat.times or began - start >= (repeat.seconds or math.inf):
                    break
                context.turn = outer * NESTED + number
                for index, step in enumerate(repeat.steps):
                    self.run(step, f"{path}.repeat[{number}].steps[{index}]")
                took.append(time.monotonic() - began)
        finally:
            context.turn = outer
        self.where = f"{path} (repeat)"
        if repeat.slowdown is None:
            return {"times": len(took)}
        return {"times": len(took), "slowdown": slowdown(took, repeat.slowdown)}

    def _power_cut(self, cut: PowerCut, path: str) -> Detail:
        step = cut.during
        work = None if step is None else partial(self._do, step, f"{path}.during")
        return power.power_cut(self._context, cut, work)

    def _starve(self, starve: Starve, path: str) -> Detail:
        """Each allocation of a command fails in turn; what it left behind is found by the next try,
        by what undoes it, and by the checks at the end."""
        context, verb, prepared = self._context, starve.step.verb, False
        outcomes: Counter[Outcome] = Counter()
        for nth in range(1, MOST_ALLOCATIONS + 1):
            if not prepared:
                self._all(starve.prepare, f"{path}.starve[{nth}].prepare")
            prepared = True
            with context.log.expecting(context.guest):
                outcome = starved(
                    context, verb, nth, lambda: self._do(starve.step, f"{path}.starve.step")
                )
            self.where = f"{path} (starve), allocation {nth}"
            outcomes[outcome] += 1
            events.forgive_memory(context)
            if outcome is not Outcome.FAILED:
                self._all(starve.undo, f"{path}.starve[{nth}].undo")
                prepared = False
            if outcome is Outcome.ENDED:
                break
        else:
            raise StepFailed(f"{verb} allocates more than {MOST_ALLOCATIONS} times")
        failed = sum(outcomes.values()) - outcomes[Outcome.ENDED]
        if failed < starve.least:
            raise StepFailed(f"{failed} allocations failed; must be {starve.least} or more")
        return {str(outcome): count for outcome, count in outcomes.items()}

    def _all(self, steps: Sequence[Step], path: str) -> None:
        for index, step in enumerate(steps):
            self.run(step, f"{path}[{index}]")

    def _expect_error(self, expect: ExpectError, path: str) -> Detail:
        wanted = " or ".join(expect.errno)
        context = self._context
        context.expecting = True
        try:
            with context.log.expecting(context.guest):
                self._do(expect.step, f"{path}.expect_error")
                raise StepFailed(f"{expect.step.verb} succeeded; it must fail with {wanted}")
        except AgentFailure as error:
            if error.errno in errno_numbers(expect.errno):
                return {"errno": errno.errorcode[error.errno], "message": error.message}
            raise StepFailed(
                f"{expect.step.verb} must fail with {wanted}, but: {describe(error)}"
            ) from error
        finally:
            context.expecting = False


def slowdown(took: Sequence[float], limit: float) -> float:
    """The last third of some durations relative to the first, by the shortest of each: others may
    have kept the guest's processors. StepFailed if above the limit."""
    third = len(took) // 3
    first, last = min(took[:third]), min(took[-third:])
    if last > first * limit:
        raise StepFailed(
            f"the fastest of the last {third} rounds took {last:.3f} s, of the first {third} "
            f"{first:.3f} s; at most {limit:g} times as long allowed"
        )
    return round(last / first, 3)


def _evidence(error: Exception) -> Detail:
    if isinstance(error, AgentFailure):
        return {"error": describe(error), "errno": error.errno}
    lines = list(error.detail) if isinstance(error, StepFailed) else []
    return {"error": str(error), "lines": lines}

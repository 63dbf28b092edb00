"""Checks of the steps against the declarations and against each other, without running them.

The walk keeps what can be known beforehand: which snapshots are created or taken, which loads
run, what is mounted where. Steps within `expect_error` are checked for names only and have no
effect; steps within `repeat` and `starve` are walked twice, as the second round must be possible
too.
"""

from __future__ import annotations

from collections.abc import Iterable

from lab.scenario import steps_io as io
from lab.scenario.check_guest_steps import GuestSteps
from lab.scenario.check_snapshot_steps import SnapshotSteps
from lab.scenario.mistakes import Place
from lab.scenario.step import NESTING, STARVED, VERBS, PowerCut, Starve, Step

PLACED = frozenset({"write", "kill_writers", "zero", "discard", "secure_erase", "read"})
"""Verbs of which nothing is checked but their place."""
UNCHECKED = frozenset({"measure"})
"""Verbs that name nothing of the scenario's."""
_WHILE_OFF = frozenset({"boot", "repeat", "check_journal", "compare_logs", "crash_states"})
"""Verbs that do not need a running guest."""
INVALID = "\0invalid"
"""Name of a step that stands for one with mistakes of its own."""


class StepChecker(SnapshotSteps, GuestSteps):
    """Walks the steps of a scenario; every mistake goes to `report`."""

    def check_all(self) -> None:
        """Check all steps of the scenario."""
        self.walk(self.scenario.steps, ("steps",))
        self._refuse_off()

    def walk(self, steps: Iterable[Step], place: Place) -> None:
        """Check steps in their order."""
        for i, step in enumerate(steps):
            if step.name == INVALID:
                self.off = None
                continue
            here = (*place, i)
            if step.verb not in _WHILE_OFF:
                self._refuse_off()
            if step.expect_error is not None:
                self._expect_error(step.expect_error.step, (*here, "expect_error", "step"))
            elif step.repeat is not None:
                for _ in range(min(step.repeat.times or 2, 2)):
                    self.walk(step.repeat.steps, (*here, "repeat", "steps"))
            elif step.starve is not None:
                self._starve(step.starve, (*here, "starve"))
            elif step.power_cut is not None:
                self._power_cut(step.power_cut, (*here, "power_cut"))
            else:
                self._step(step, here)

    def _starve(self, starve: Starve, place: Place) -> None:
        if starve.step.verb not in STARVED:
            verbs = f"one of {', '.join(sorted(STARVED))}"
            self.report((*place, "step"), f"`{starve.step.verb}` cannot be starved", verbs)
            return
        for _ in range(2):
            self.walk(starve.prepare, (*place, "prepare"))
            self._step(starve.step, (*place, "step"))
            self.walk(starve.undo, (*place, "undo"))

    def _expect_error(self, step: Step, place: Place) -> None:
        if step.verb in NESTING:
            self.report((*place, step.verb), "cannot be within expect_error", "a plain verb")
            return
        self.strict = False
        self._step(step, place)
        self.strict = True

    def _power_cut(self, action: PowerCut, place: Place) -> None:
        here = (*place, "during")
        if action.during is not None and action.during.verb in NESTING | {"boot", "reboot"}:
            self.report((*here, action.during.verb), "cannot be cut", "a plain verb")
        elif action.during is not None:
            self._step(action.during, here)
        self.off = place

    def _refuse_off(self) -> None:
        if self.off is not None:
            self.report(self.off, "the machine is off after it", "`boot` as the next step")
        self.off = None

    def _step(self, step: Step, place: Place) -> None:
        here = (*place, step.verb)
        action = step.action
        if isinstance(action, io.Placed):
            self.placed(action, here)
        if step.verb not in PLACED | UNCHECKED:
            getattr(self, f"verb_{step.verb}")(action, here)


_checks = {name.removeprefix("verb_") for name in dir(StepChecker) if name.startswith("verb_")}
_wrong = _checks ^ (set(VERBS) - NESTING - PLACED - UNCHECKED)
assert not _wrong, f"verbs without a check, or checks of no verb: {sorted(_wrong)}"

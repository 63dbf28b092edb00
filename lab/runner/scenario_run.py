"""One scenario from its clone to its verdict: start, steps, automatic checks, artifacts.

The first finding decides; what is found afterwards is kept as its consequence. As long as the guest
answers, all automatic checks are made, also after a failure: they tell how far the damage goes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from lab.guest.channel import ChannelTimeout
from lab.guest.disks import DiskSpec
from lab.guest.lost import GuestLost
from lab.runner import artifacts, checks, start
from lab.runner.bus import Bus
from lab.runner.context import Context
from lab.runner.events import CheckFinished
from lab.runner.failures import StepsEnded, finding_of
from lab.runner.folder import Folder, HostDiskFull
from lab.runner.journal import Journal
from lab.runner.ports import Guest, Template, facts
from lab.runner.start import SkipScenario
from lab.runner.stepper import Stepper
from lab.runner.stop import Interrupted, Stop
from lab.runner.verdict import ScenarioResult, Verdict
from lab.scenario.scenario import Scenario

CHECKS_LIMIT = 600.0
"""Seconds that all automatic checks of a scenario may take together."""


@dataclass(frozen=True)
class Place:
    """Where and as what a scenario is run; see RunSettings. patience: see Deadline."""

    folder: Folder
    command: str
    label: str
    kernel: str
    repeat: int = 1
    features: frozenset[str] = frozenset()
    patience: float = 1.0


def run_scenario(
    scenario: Scenario, template: Template, place: Place, bus: Bus, stop: Stop
) -> ScenarioResult:
    """Run one scenario in a clone of its own; never raises for what the scenario finds.

    Raises Interrupted if the run was stopped, HostDiskFull if results cannot be kept.
    """
    journal = Journal(scenario.name, place.repeat, place.kernel, place.folder, bus)
    one = _ScenarioRun(scenario, template, place, journal, stop)
    result = one.go()
    place.folder.write_json("verdict.json", result)
    return result


class _ScenarioRun:
    """One scenario on its way."""

    def __init__(
        self, scenario: Scenario, template: Template, place: Place, journal: Journal, stop: Stop
    ) -> None:
        self._scenario = scenario
        self._template = template
        self._place = place
        self._journal = journal
        self._stop = stop
        self._guest: Guest | None = None
        self._context: Context | None = None
        self._silent = False

    def go(self) -> ScenarioResult:
        """All of it."""
        began = time.monotonic()
        folder = self._place.folder
        folder.write_text("scenario.yaml", self._scenario.source)
        folder.write_text("command.txt", self._place.command + "\n")
        folder.write_json("builds.json", facts(self._template))
        skipped = ""
        try:
            release = facts(self._template)["kernel_release"]
            place = self._place
            start.check_features(self._scenario, place.features, place.kernel, release)
            self._in_clone()
        except SkipScenario as skip:
            skipped = skip.what
        except Interrupted:
            raise
        except Exception as error:
            # A full disk too: the disks of this guest, which are gone now, may have filled it.
            self._stop.check()
            self._journal.add(finding_of(error, "clone", self._guest, folder.path))
        return self._result(skipped, time.monotonic() - began)

    def _in_clone(self) -> None:
        disks = [
            DiskSpec(
                name=name,
                size=disk.size,
                logical_block_size=disk.logical_block_size,
                physical_block_size=disk.physical_block_size,
                discard=disk.discard,
                serial=disk.serial,
            )
            for name, disk in self._scenario.disks.items()
        ]
        folder = self._place.folder
        with (
            self._template.clone(disks, folder.path) as guest,
            self._stop.cuts(guest.power_cut),
        ):
            self._guest = guest
            self._context = context = Context(
                self._scenario, guest, folder, self._stop, self._place.patience
            )
            try:
                self._work(context)
            finally:
                artifacts.keep(context, self._journal.findings)

    def _work(self, context: Context) -> None:
        stepper = Stepper(context, self._journal, self._after_step)
        if self._guarded("start", lambda: start.start(context)):
            self._guarded("", stepper.run_all, where=lambda: stepper.where)
        context.deadline.restart(CHECKS_LIMIT)
        for check in checks.ALL:
            if self._silent:
                break
            self._check(check)

    def _guarded(
        self, name: str, work: Callable[[], None], where: Callable[[], str] | None = None
    ) -> bool:
        """Do a part of the scenario; False, and a finding, if it fails.

        What the kernel log has got to say by then came first.
        """
        try:
            work()
        except (Interrupted, SkipScenario):
            raise
        except StepsEnded:
            return False  # its finding is there already
        except Exception as error:
            self._stop.check()
            place = where() if where is not None else name
            folder = self._place.folder.path
            finding = finding_of(error, place, self._guest, folder)
            self._note_silence(error)
            self._judge_log(place)
            self._journal.add(finding)
            return False
        return True

    def _note_silence(self, error: Exception) -> None:
        """After some errors no request to the guest can be expected to be answered."""
        self._silent |= isinstance(error, ChannelTimeout | GuestLost | HostDiskFull)

    def _after_step(self, where: str) -> None:
        """Look at the kernel log now and then: a report ends the steps."""
        context = self._context
        assert context is not None
        if context.log.due():
            context.log.poll(context.guest)
            reports = context.log.judge(f"kernel log, by {where}")
            self._journal.add(*reports)
            if reports:
                raise StepsEnded(reports[0].what)

    def _judge_log(self, where: str) -> None:
        context = self._context
        if context is None or self._silent:
            return
        try:
            context.log.poll(context.guest)
        except Exception as error:
            self._stop.check()
            self._note_silence(error)
            self._journal.add(finding_of(error, "kernel log", self._guest, context.folder.path))
        self._journal.add(*context.log.judge(f"kernel log, by {where}"))

    def _check(self, check: checks.Check) -> None:
        context = self._context
        assert context is not None
        began, before = time.monotonic(), len(self._journal.findings)
        details: dict[str, object] = {}
        self._guarded(check.name, lambda: details.update(check.make(context)))
        self._judge_log(check.name)
        self._journal.emit(
            CheckFinished(
                **self._journal.place,
                check=check.name,
                duration=time.monotonic() - began,
                findings=tuple(self._journal.findings[before:]),
                detail=details,
            )
        )

    def _result(self, skipped: str, duration: float) -> ScenarioResult:
        findings = tuple(self._journal.findings)
        verdict = Verdict.PASSED
        reason = ""
        if findings:
            verdict, reason = findings[0].verdict, f"{findings[0].where}: {findings[0].what}"
        elif skipped:
            verdict, reason = Verdict.SKIPPED, skipped
        return ScenarioResult(
            name=self._scenario.name,
            verdict=verdict,
            kernel=self._place.kernel,
            label=self._place.label,
            reason=reason,
            findings=findings,
            duration=duration,
            folder=self._place.folder.path,
            proves=self._scenario.proves,
            repeat=self._place.repeat,
            command=self._place.command,
            reports=self._context.reports if self._context is not None else {},
        )

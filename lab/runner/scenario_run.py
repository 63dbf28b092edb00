"""One scenario from its clone to its verdict: start, steps, automatic checks, artifacts.

The first finding decides; what is found afterwards is kept as its consequence. As long as the guest
answers, all automatic checks are made, also after a failure: they tell how far the damage goes.
"""

from __future__ import annotations

import contextlib
import shlex
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lab.data import program
from lab.errors import LabError
from lab.guest import sections
from lab.guest.channel import ChannelTimeout
from lab.guest.disks import BadIo, DiskSpec
from lab.guest.kept import FOLDER
from lab.guest.lost import GuestLost
from lab.image import kernel_named
from lab.runner import artifacts, checks, coverage, start
from lab.runner.bus import Bus
from lab.runner.context import Context
from lab.runner.events import CheckFinished
from lab.runner.failures import StepsEnded, finding_of
from lab.runner.folder import Folder, HostDiskFull
from lab.runner.journal import Journal
from lab.runner.klog import module_complaints
from lab.runner.ports import Guest, Template, debug_folder, facts
from lab.runner.start import SkipScenario
from lab.runner.stepper import Stepper
from lab.runner.stop import Interrupted, Stop
from lab.runner.traces import Traces
from lab.runner.verdict import Finding, ScenarioResult, Verdict
from lab.scenario.scenario import Scenario
from lab.tap.record import Tap, watching
from lab.tap.server import DiskServer
from lab.units import SECTOR

CHECKS_LIMIT = 600.0
"""Seconds that all automatic checks of a scenario may take together."""
RED_CHECKS_LIMIT = 120.0
"""Seconds that they may take once something is wrong, unless a step may take longer. A device that
does not answer any more, such as one that stays frozen, is not worth more."""


@dataclass(frozen=True)
class Place:
    """Where and as what a scenario is run; see RunSettings. patience: see Deadline.

    seats: one has to be taken by each guest that runs; there are `jobs`. tap: watches the I/Os of
    the disks of `fail_each`.
    keep_failed: if it fails, its guest is kept as it was then, in the folder "kept".
    """

    folder: Folder
    command: str
    label: str
    kernel: str
    repeat: int = 1
    patience: float = 1.0
    jobs: int = 1
    seats: threading.Semaphore = field(default_factory=threading.Semaphore)
    tap: Tap | None = None
    keep_failed: bool = False


def run_scenario(
    scenario: Scenario, template: Template, place: Place, bus: Bus, stop: Stop
) -> ScenarioResult:
    """Run one scenario in a clone of its own; never raises for what the scenario finds.

    Raises Interrupted if the run was stopped, HostDiskFull if results cannot be kept.
    """
    with place.seats:
        return attempt(scenario, template, place, bus, stop).result


@dataclass(frozen=True)
class Attempt:
    """What came of one clone. consequences: of the fault of the tap, in words. complaints: lines
    that the module wrote to the kernel log, but for mere information."""

    result: ScenarioResult
    consequences: tuple[str, ...]
    complaints: tuple[str, ...]


def attempt(scenario: Scenario, template: Template, place: Place, bus: Bus, stop: Stop) -> Attempt:
    """Run a scenario in one clone."""
    one = ScenarioRun(scenario, template, place, bus, stop)
    result = one.go()
    return Attempt(result, one.consequences, one.complaints)


class ScenarioRun:
    """One scenario on its way: `go`; or, for who does something else than its steps in the guest:
    `clone`, then `start`, single steps by `stepper`, `guarded` and `check_all` while that lasts,
    and `result`."""

    def __init__(
        self, scenario: Scenario, template: Template, place: Place, bus: Bus, stop: Stop
    ) -> None:
        common = {"scenario": scenario.name, "repeat": place.repeat, "kernel": place.kernel}
        self._journal = Journal(common, place.folder, bus, Traces(debug_folder(template)))
        self._scenario = scenario
        self._template = template
        self._place = place
        self._stop = stop
        self._guest: Guest | None = None
        self._context: Context | None = None
        self._silent = False
        self._began = time.monotonic()
        self._kept = ""

    def go(self) -> ScenarioResult:
        """All of it."""
        skipped = ""
        try:
            with self.clone() as context:
                stepper = self.stepper(context)
                if self.start():
                    with watching(self._place.tap):
                        self.guarded("", stepper.run_all, where=lambda: stepper.where)
                self._keep_if_failed()
                self.check_all()
        except SkipScenario as skip:
            skipped = skip.what
        except Interrupted:
            raise
        except Exception as error:
            # A full disk too: the disks of this guest, which are gone now, may have filled it.
            self._stop.check()
            path = self._place.folder.path
            self._journal.add(finding_of(error, "clone", self._guest, path))
        return self.result(skipped)

    @property
    def consequences(self) -> tuple[str, ...]:
        """What steps said of the I/O that failed."""
        return tuple(self._context.consequences) if self._context is not None else ()

    @property
    def complaints(self) -> tuple[str, ...]:
        """What the module said in the kernel log, but for mere information."""
        if self._context is None:
            return ()
        lines, names = self._context.log.lines, self._context.flavour.log
        return tuple(line.said for line in module_complaints(lines, names))

    @property
    def sections(self) -> str:
        """Where the modules were when they were loaded, if the place asks to keep guests."""
        return self._context.sections if self._context is not None else ""

    @contextlib.contextmanager
    def clone(self) -> Iterator[Context]:
        """The guest of the scenario; what is to be kept of it is kept at its end.

        Raises SkipScenario if the scenario asks for what no guest of this template has.
        """
        place, folder = self._place, self._place.folder
        folder.write_text("scenario.yaml", self._scenario.source)
        folder.write_text("command.txt", place.command + "\n")
        folder.write_json("builds.json", facts(self._template))
        release = facts(self._template)["kernel_release"]
        start.check_kernel(self._scenario, place.kernel, release)
        with contextlib.ExitStack() as stack:
            disks = self._disks(self._serve(stack))
            clone = self._template.clone(disks, folder.path, keepable=place.keep_failed)
            guest = stack.enter_context(clone)
            stack.enter_context(self._stop.cuts(guest.power_cut))
            self._guest = guest
            self._context = context = Context(
                self._scenario,
                guest,
                folder,
                self._stop,
                kernel=kernel_named(place.kernel),
                patience=place.patience,
            )
            context.tap = place.tap
            context.keepable = place.keep_failed
            context.counts = coverage.notes(self._template) is not None
            try:
                yield context
            finally:
                artifacts.keep(context, self._journal.findings, self._journal.traces)

    def _serve(self, stack: contextlib.ExitStack) -> dict[str, Path]:
        """Start servers for the disks whose I/Os are watched; their sockets."""
        each, tap = self._scenario.fail_each, self._place.tap
        if tap is None or each is None:
            return {}
        # A socket's path may have 107 bytes; that of the results may be longer.
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="blksnap-lab.")))
        sockets = {name: place / name for name in each.disks}
        for name, socket in sockets.items():
            file = self._place.folder.path / f"{name}.raw"
            stack.enter_context(DiskServer(name, file, socket, tap))
        return sockets

    def _disks(self, sockets: Mapping[str, Path]) -> list[DiskSpec]:
        return [
            DiskSpec(
                name=name,
                size=disk.size,
                logical_block_size=disk.logical_block_size,
                physical_block_size=disk.physical_block_size,
                discard=disk.discard,
                serial=disk.serial,
                log=disk.log,
                errors=tuple(
                    BadIo(bad.of, None if bad.at is None else bad.at // SECTOR, bad.once)
                    for bad in disk.errors
                ),
                server=sockets.get(name),
            )
            for name, disk in self._scenario.disks.items()
        ]

    def stepper(self, context: Context) -> Stepper:
        """What does the steps, looking at the kernel log after each."""
        return Stepper(context, self._journal, self._after_step)

    def start(self) -> bool:
        """Make the guest ready for the first step; False, and a finding, if that fails."""
        context = self._context
        assert context is not None
        return self.guarded("start", lambda: start.start(context))

    def check_all(self) -> None:
        """All automatic checks, as long as the guest answers."""
        context = self._context
        assert context is not None
        red = bool(self._journal.findings)
        context.deadline.restart(self._checks_limit(red))
        for check in checks.ALL:
            if self._silent:
                break
            self._check(check)
            self._keep_if_failed()
            if self._journal.findings and not red:
                red = True
                context.deadline.restart(self._checks_limit(red))
        if not self._silent:
            self.guarded("coverage", lambda: coverage.save(context))

    def _checks_limit(self, red: bool) -> float:
        """Seconds for the checks that are still to come; what they find after a finding is evidence
        only, and changes no verdict."""
        if not red:
            return CHECKS_LIMIT
        return min(CHECKS_LIMIT, max(RED_CHECKS_LIMIT, self._scenario.step_timeout))

    def _keep_if_failed(self) -> None:
        """Keep the guest as it is at the first finding; later ones may be its consequences."""
        if not self._place.keep_failed or self._kept or not self._journal.findings:
            return
        assert self._guest is not None
        path = self._place.folder.path
        look = "gdb" if self._journal.findings[0].verdict is Verdict.PANIC else "shell"
        self._kept = shlex.join([program(), look, "--kept", str(path)])
        try:
            self._template.keep(self._guest, path / FOLDER)
            if self._context is not None:
                self._place.folder.write_text(f"{FOLDER}/{sections.FILE}", self._context.sections)
        except LabError as error:
            self._kept = f"not kept: {error.what}"

    def guarded(
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
            # What the kernel reports is the cause; that it cannot be asked is a consequence.
            unread = self._judge_log(place)
            self._journal.add(finding, *unread)
            return False
        return True

    def _note_silence(self, error: Exception) -> None:
        """After some errors no request to the guest can be expected to be answered."""
        off = self._context is not None and not self._context.powered
        self._silent |= off or isinstance(error, ChannelTimeout | GuestLost | HostDiskFull)

    def _after_step(self, where: str) -> None:
        """Look at the kernel log now and then: a report ends the steps."""
        context = self._context
        assert context is not None
        if context.powered and context.log.due():
            context.log.poll(context.guest)
            reports = context.log.judge(f"kernel log, by {where}")
            self._journal.add(*reports)
            if reports:
                raise StepsEnded(reports[0].what)

    def _judge_log(self, where: str) -> tuple[Finding, ...]:
        """Add what the kernel reports; returns why its log cannot be read, if so."""
        context = self._context
        if context is None or self._silent:
            return ()
        unread: tuple[Finding, ...] = ()
        try:
            context.log.poll(context.guest)
        except Exception as error:
            self._stop.check()
            self._note_silence(error)
            unread = (finding_of(error, "kernel log", self._guest, context.folder.path),)
        self._journal.add(*context.log.judge(f"kernel log, by {where}"))
        return unread

    def _check(self, check: checks.Check) -> None:
        context = self._context
        assert context is not None
        began, before = time.monotonic(), len(self._journal.findings)
        details: dict[str, object] = {}
        self.guarded(check.name, lambda: details.update(check.make(context)))
        context.figures.look(context)
        self._journal.add(*self._judge_log(check.name))
        self._journal.emit(
            CheckFinished(
                **self._journal.place,
                check=check.name,
                duration=time.monotonic() - began,
                findings=tuple(self._journal.findings[before:]),
                detail=details,
            )
        )

    def result(self, skipped: str = "") -> ScenarioResult:
        """The verdict, written into the folder too; `skipped`: why it was not run."""
        findings = tuple(self._journal.findings)
        if self._place.tap is not None and self._place.tap.host_fault:
            # Whatever else there is may have come of it.
            host = Finding(Verdict.ERROR, "host", self._place.tap.host_fault)
            findings = (host, *findings)
        verdict = Verdict.PASSED
        reason = ""
        if findings:
            verdict, reason = findings[0].verdict, f"{findings[0].where}: {findings[0].what}"
        elif skipped:
            verdict, reason = Verdict.SKIPPED, skipped
        result = ScenarioResult(
            name=self._scenario.name,
            verdict=verdict,
            kernel=self._place.kernel,
            label=self._place.label,
            reason=reason,
            findings=findings,
            duration=time.monotonic() - self._began,
            folder=self._place.folder.path,
            proves=self._scenario.proves,
            repeat=self._place.repeat,
            command=self._place.command,
            reports=self._context.reports if self._context is not None else {},
            kept=self._kept,
        )
        self._place.folder.write_json("verdict.json", result)
        return result

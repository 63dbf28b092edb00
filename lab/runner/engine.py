"""The engine: prepares templates, runs the selected scenarios, several at once if asked to.

Every scenario gets a clone of its own. The order is that of the selection, kernel by kernel, and
all of that again for each repeat, so that a run that is ended early has whole rounds; with several
jobs scenarios begin in that order. Results are in that order too. A run that ended before its end
can go on (lab.runner.resume): what has a result is not run again.
"""

from __future__ import annotations

import itertools
import shlex
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.errors import LabError, UsageError
from lab.host import processors
from lab.image import DEFAULT_KERNEL, kernel_named
from lab.modbuild import ModuleBuildFailed
from lab.runner.bus import Bus, listening
from lab.runner.events import (
    Listener,
    RunFinished,
    RunResumed,
    RunStarted,
    ScenarioFinished,
    ScenarioStarted,
)
from lab.runner.every_io import run_whole
from lab.runner.folder import RunFolder, new_run_folder
from lab.runner.guests import Guests, Templates, kind_of
from lab.runner.ports import Prepare, Template, facts
from lab.runner.resume import Earlier
from lab.runner.scenario_run import Place
from lab.runner.stop import Interrupted, Stop, signals_stop
from lab.runner.verdict import (
    MODULE_BUILD,
    Finding,
    RunResult,
    ScenarioResult,
    Verdict,
    count_verdicts,
)
from lab.scenario.scenario import Scenario

EMULATION = 2.0
"""How much more time an emulated guest gets than one on real processors."""
GUEST_CPUS = 2
"""Processors of the usual guest."""
POLL = 0.5
"""Seconds the main thread sleeps at most, so that signals are handled soon."""


@dataclass(frozen=True)
class RunSettings:
    """How to run.

    results: folder that gets a sub folder for this run. command: words that, followed by the name
    of a scenario, run it again; options: those that only the command of the whole run has. kernels:
    names of the guests' kernels; every scenario is run on each. jobs: guests at a time. cpus:
    processors of each. repeat: how often each scenario is run. keep_failed: see Place. basis,
    to_make, long: see RunStarted.
    """

    results: Path
    command: tuple[str, ...] = ("blksnap-lab", "run")
    kernels: tuple[str, ...] = (DEFAULT_KERNEL,)
    jobs: int = 1
    cpus: int = GUEST_CPUS
    repeat: int = 1
    keep_failed: bool = False
    options: tuple[str, ...] = ()
    basis: Mapping[str, str] = field(default_factory=dict)
    to_make: tuple[str, ...] = ()
    long: bool = False

    def again(self, kernels: Sequence[str], names: Sequence[str]) -> str:
        """The command that runs these scenarios on these kernels the same way."""
        return shlex.join([*self._words(kernels), *names])

    def whole(self, names: Sequence[str]) -> str:
        """The command that does a whole run of these scenarios again."""
        return shlex.join([*self._words(self.kernels), *self.options, *names])

    def _words(self, kernels: Sequence[str]) -> list[str]:
        chosen = () if tuple(kernels) == (DEFAULT_KERNEL,) else kernels
        return [*self.command, *(f"--kernel={kernel}" for kernel in chosen)]


@dataclass(frozen=True)
class _Task:
    """One run of one scenario; label: see ScenarioResult."""

    number: int
    kernel: str
    scenario: Scenario
    repeat: int
    label: str

    @property
    def told(self) -> str:
        """What people call it."""
        return self.label if self.repeat == 1 else f"{self.label} ({self.repeat})"


def run(
    scenarios: Sequence[Scenario],
    settings: RunSettings,
    listeners: Sequence[Listener],
    prepare: Prepare,
    earlier: Earlier | None = None,
) -> RunResult:
    """Run the scenarios (already selected) and tell the listeners; the result is never an opinion.

    earlier: of the same run, which goes on; its folder is closed in the end.
    Raises UsageError if nothing is selected, results cannot be written, or the run cannot go on,
    EnvironmentLack (also HostDiskFull) and other LabErrors if no template could be made. A module
    that does not compile is a verdict: error.
    """
    if not scenarios:
        raise UsageError("no scenario is selected", "see `blksnap-lab list` for what there is")
    if settings.jobs < 1 or settings.repeat < 1:
        raise UsageError("jobs and repeat are at least 1")
    folder = new_run_folder(settings.results) if earlier is None else earlier.folder
    with closing(folder), listening(listeners) as bus:
        guests = Guests(scenarios, prepare, bus, folder)
        return _Run(scenarios, settings, bus, folder, guests=guests, earlier=earlier).go()


def _tasks(settings: RunSettings, scenarios: Sequence[Scenario]) -> list[_Task]:
    """All that is to be run, in order: round by round."""
    wanted = itertools.product(range(1, settings.repeat + 1), settings.kernels, scenarios)
    several = len(settings.kernels) > 1
    return [
        _Task(
            number=number,
            kernel=kernel,
            scenario=scenario,
            repeat=repeat,
            label=f"{kernel}/{scenario.name}" if several else scenario.name,
        )
        for number, (repeat, kernel, scenario) in enumerate(wanted)
    ]


def patience(template: Template, jobs: int, kernel: str, cpus: int = GUEST_CPUS) -> float:
    """How much longer things may take than in a guest of its own on processors of its own.

    jobs: guests at a time, each with so many processors (cpus). kernel: its name among those of the
    lab; one with debug options is slow.
    """
    emulated = EMULATION if facts(template).get("accel") == "tcg" else 1.0
    crowded = max(1.0, jobs * cpus / processors())
    return emulated * crowded * kernel_named(kernel).slowness


class _Run:
    """One run on its way."""

    def __init__(
        self,
        scenarios: Sequence[Scenario],
        settings: RunSettings,
        bus: Bus,
        folder: RunFolder,
        *,
        guests: Guests,
        earlier: Earlier | None,
    ) -> None:
        self._settings = settings
        self._bus = bus
        self._folder = folder
        self._earlier = earlier
        self._stop = Stop()
        self._begin = time.monotonic()
        self._tasks = _tasks(settings, scenarios)
        self._names = tuple(scenario.name for scenario in scenarios)
        self._results: dict[int, ScenarioResult] = {}
        if earlier is not None:
            known = {(one.repeat, one.label): one for one in earlier.results}
            found = ((one.number, known.get((one.repeat, one.label))) for one in self._tasks)
            self._results = {number: result for number, result in found if result is not None}
        self._guests = guests
        self._seats = threading.Semaphore(settings.jobs)

    def go(self) -> RunResult:
        """Everything from the first event to the last."""
        left = [task for task in self._tasks if task.number not in self._results]
        if self._earlier is not None:
            # Nothing is told, and nothing written, before it is known that it can go on.
            try:
                self._guests.check(self._earlier, [task.kernel for task in left])
            except KeyboardInterrupt:
                self._stop.request()
        self._begun(left)
        # With one kernel all rounds are one piece, so that jobs never wait for the end of a round.
        try:
            for kernel, tasks in itertools.groupby(left, key=lambda task: task.kernel):
                if not self._stop.requested:
                    self._on_kernel(kernel, list(tasks))
        except BaseException:
            # What there is so far is told and can go on; the error is the one to be seen.
            self._stop.request()
            with suppress(LabError):
                self._finish()
            raise
        return self._finish()

    def _begun(self, left: Sequence[_Task]) -> None:
        """Tell that the run begins, or goes on."""
        settings, earlier = self._settings, self._earlier
        common: dict[str, Any] = {
            "folder": str(self._folder.path),
            "command": settings.whole(self._names),
            "scenarios": self._names,
            "kernels": settings.kernels,
            "jobs": settings.jobs,
            "repeat": settings.repeat,
            "basis": settings.basis,
            "to_make": settings.to_make,
            "long": settings.long,
        }
        if earlier is None:
            self._folder.write_text("command.txt", common["command"] + "\n")
            self._bus.emit(RunStarted(**common))
            return
        begun = (task.told for task in left if self._folder.has(task.label, task.repeat))
        results = tuple(self._results[number] for number in sorted(self._results))
        self._bus.emit(
            RunResumed(**common, earlier=results, began=earlier.began, under_way=tuple(begun))
        )

    def _on_kernel(self, kernel: str, tasks: Sequence[_Task]) -> None:
        """Tasks that follow each other on one kernel."""
        try:
            templates = self._guests.ready(kernel)
        except ModuleBuildFailed as error:
            self._all_failed(kernel, tasks, error)
        except KeyboardInterrupt:
            self._stop.request()
        else:
            with signals_stop(self._stop):
                self._run_all(tasks, templates)

    def _all_failed(self, kernel: str, tasks: Sequence[_Task], error: ModuleBuildFailed) -> None:
        """The module does not compile: nothing can be run, each scenario says why."""
        what, _, said = error.what.partition("\n")
        finding = Finding(Verdict.ERROR, MODULE_BUILD, what, tuple(said.split("\n")))
        self._folder.write_text(f"module-build-{kernel}.log", error.log)
        for task in tasks:
            self._started(task)
            folder = self._folder.scenario(task.label, task.repeat)
            result = ScenarioResult(
                name=task.scenario.name,
                verdict=Verdict.ERROR,
                kernel=kernel,
                label=task.label,
                reason=finding.what,
                findings=(finding,),
                folder=folder.path,
                proves=task.scenario.proves,
                repeat=task.repeat,
            )
            folder.write_json("verdict.json", result)
            self._done(task, result)

    def _run_all(self, tasks: Sequence[_Task], templates: Templates) -> None:
        """Run the tasks in order, `jobs` at a time, until they are done or the stop is requested.

        The main thread only waits, so that it can handle signals.
        """
        todo = list(reversed(tasks))
        with ThreadPoolExecutor(self._settings.jobs, thread_name_prefix="scenario") as pool:
            going: dict[Future[ScenarioResult], _Task] = {}
            while going or (todo and not self._stop.requested):
                while todo and len(going) < self._settings.jobs and not self._stop.requested:
                    task = todo.pop()
                    going[pool.submit(self._one, task, templates[kind_of(task.scenario)])] = task
                done, _ = wait(going, timeout=POLL, return_when=FIRST_COMPLETED)
                for future in done:
                    self._collect(going.pop(future), future)

    def _collect(self, task: _Task, future: Future[ScenarioResult]) -> None:
        """Take a result. An error here is not the scenario's: it ends the run."""
        try:
            self._done(task, future.result())
        except Interrupted:
            return
        except BaseException:
            self._stop.request()
            raise

    def _one(self, task: _Task, template: Template) -> ScenarioResult:
        """Run one scenario in this thread. Raises Interrupted if the run was stopped meanwhile."""
        self._started(task)
        settings = self._settings
        place = Place(
            folder=self._folder.scenario(task.label, task.repeat),
            command=settings.again((task.kernel,), (task.scenario.name,)),
            label=task.label,
            kernel=task.kernel,
            repeat=task.repeat,
            patience=patience(template, settings.jobs, task.kernel, settings.cpus),
            jobs=settings.jobs,
            seats=self._seats,
            keep_failed=settings.keep_failed,
        )
        result = run_whole(task.scenario, template, place, self._bus, self._stop)
        self._stop.check()
        return result

    def _started(self, task: _Task) -> None:
        scenario = task.scenario
        self._bus.emit(
            ScenarioStarted(
                scenario=scenario.name,
                repeat=task.repeat,
                kernel=task.kernel,
                title=scenario.summary,
                steps=len(scenario.steps),
            )
        )

    def _done(self, task: _Task, result: ScenarioResult) -> None:
        self._results[task.number] = result
        self._bus.emit(
            ScenarioFinished(
                scenario=result.name, repeat=result.repeat, kernel=result.kernel, result=result
            )
        )

    def _finish(self) -> RunResult:
        """Count, tell, and write down the result."""
        results = tuple(self._results[number] for number in sorted(self._results))
        not_run = tuple(t.told for t in self._tasks if t.number not in self._results)
        before = self._earlier.duration if self._earlier is not None else 0.0
        result = RunResult(
            results=results,
            duration=before + time.monotonic() - self._begin,
            folder=self._folder.path,
            selected=len(self._tasks),
            not_run=not_run,
            interrupted=self._stop.requested,
            counts=count_verdicts(results),
        )
        self._bus.emit(
            RunFinished(
                duration=result.duration,
                counts=result.counts,
                green=result.green,
                interrupted=result.interrupted,
                not_run=not_run,
                exit_status=int(result.exit_status),
                folder=str(self._folder.path),
            )
        )
        self._folder.write_json("run.json", result)
        return result

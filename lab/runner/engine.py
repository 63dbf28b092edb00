"""The engine: prepares templates, runs the selected scenarios, several at once if asked to.

Every scenario gets a clone of its own. The order is that of the selection, kernel by kernel; with
several jobs scenarios begin in that order. Results are in that order too.
"""

from __future__ import annotations

import itertools
import os
import shlex
import threading
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from lab.errors import UsageError
from lab.image import DEFAULT_KERNEL, kernel_named
from lab.modbuild import ModuleBuildFailed
from lab.progress import Progress
from lab.runner.bus import Bus, listening
from lab.runner.coverage import keep_notes
from lab.runner.events import (
    GuestReady,
    Listener,
    RunFinished,
    RunStarted,
    ScenarioFinished,
    ScenarioStarted,
    StageProgress,
)
from lab.runner.every_io import run_each
from lab.runner.folder import RunFolder, new_run_folder
from lab.runner.ports import Prepare, Template, facts
from lab.runner.scenario_run import Place, run_scenario
from lab.runner.stop import Interrupted, Stop, signals_interrupt, signals_stop
from lab.runner.verdict import (
    MODULE_BUILD,
    Finding,
    RunResult,
    ScenarioResult,
    Verdict,
    count_verdicts,
)
from lab.scenario.scenario import Scenario

Templates = dict[tuple[int | None, bool], Template]
"""Templates by the guest's memory in bytes (None: the usual), and by `icount`."""
EMULATION = 2.0
"""How much more time an emulated guest gets than one on real processors."""
GUEST_CPUS = 2
POLL = 0.5
"""Seconds the main thread sleeps at most, so that signals are handled soon."""


@dataclass(frozen=True)
class RunSettings:
    """How to run.

    results: folder that gets a sub folder for this run. command: words that, followed by the name
    of a scenario, run it again. kernels: names of the guests' kernels; every scenario is run on
    each. jobs: guests at a time. repeat: how often each scenario is run. keep_failed: see
    Place.
    """

    results: Path
    command: tuple[str, ...] = ("blksnap-lab", "run")
    kernels: tuple[str, ...] = (DEFAULT_KERNEL,)
    jobs: int = 1
    repeat: int = 1
    keep_failed: bool = False

    def again(self, kernels: Sequence[str], names: Sequence[str]) -> str:
        """The command that runs these scenarios on these kernels the same way."""
        chosen = () if tuple(kernels) == (DEFAULT_KERNEL,) else kernels
        return shlex.join([*self.command, *(f"--kernel={kernel}" for kernel in chosen), *names])


@dataclass(frozen=True)
class _Task:
    """One run of one scenario; label: see ScenarioResult."""

    number: int
    kernel: str
    scenario: Scenario
    repeat: int
    label: str


def run(
    scenarios: Sequence[Scenario],
    settings: RunSettings,
    listeners: Sequence[Listener],
    prepare: Prepare,
) -> RunResult:
    """Run the scenarios (already selected) and tell the listeners; the result is never an opinion.

    Raises UsageError if nothing is selected, EnvironmentLack (also HostDiskFull) and other
    LabErrors if no template could be made. A module that does not compile is a verdict: error.
    """
    if not scenarios:
        raise UsageError("no scenario is selected", "see `blksnap-lab list` for what there is")
    if settings.jobs < 1 or settings.repeat < 1:
        raise UsageError("jobs and repeat are at least 1")
    folder = new_run_folder(settings.results)
    stop = Stop()
    with listening(listeners) as bus:
        return _Run(scenarios, settings, bus, folder, stop).go(prepare)


def _tasks(settings: RunSettings, scenarios: Sequence[Scenario]) -> list[_Task]:
    """All that is to be run, in order."""
    wanted = itertools.product(settings.kernels, range(1, settings.repeat + 1), scenarios)
    several = len(settings.kernels) > 1
    return [
        _Task(
            number=number,
            kernel=kernel,
            scenario=scenario,
            repeat=repeat,
            label=f"{kernel}/{scenario.name}" if several else scenario.name,
        )
        for number, (kernel, repeat, scenario) in enumerate(wanted)
    ]


def patience(template: Template, jobs: int) -> float:
    """How much longer things may take than in a guest of its own on processors of its own."""
    emulated = EMULATION if facts(template).get("accel") == "tcg" else 1.0
    return emulated * max(1.0, jobs * GUEST_CPUS / (os.cpu_count() or 1))


def _kind(scenario: Scenario) -> tuple[int | None, bool]:
    """Key of its guest's template."""
    return scenario.memory, scenario.icount


class _Run:
    """One run on its way."""

    def __init__(
        self,
        scenarios: Sequence[Scenario],
        settings: RunSettings,
        bus: Bus,
        folder: RunFolder,
        stop: Stop,
    ) -> None:
        self._settings = settings
        self._bus = bus
        self._folder = folder
        self._stop = stop
        self._begin = time.monotonic()
        self._tasks = _tasks(settings, scenarios)
        names = tuple(scenario.name for scenario in scenarios)
        self._command = settings.again(settings.kernels, names)
        self._results: dict[int, ScenarioResult] = {}
        self._seats = threading.Semaphore(settings.jobs)

    def go(self, prepare: Prepare) -> RunResult:
        """Everything from the first event to the last."""
        self._folder.write_text("command.txt", self._command + "\n")
        names = tuple(dict.fromkeys(task.scenario.name for task in self._tasks))
        self._bus.emit(
            RunStarted(
                folder=str(self._folder.path),
                command=self._command,
                scenarios=names,
                kernels=self._settings.kernels,
                jobs=self._settings.jobs,
                repeat=self._settings.repeat,
            )
        )
        for kernel in self._settings.kernels:
            if not self._stop.requested:
                self._on_kernel(kernel, prepare)
        return self._finish()

    def _on_kernel(self, kernel: str, prepare: Prepare) -> None:
        """All that is to be run on one kernel."""
        tasks = [task for task in self._tasks if task.kernel == kernel]
        try:
            with signals_interrupt():
                templates = self._templates(kernel, tasks, prepare)
        except ModuleBuildFailed as error:
            self._all_failed(kernel, tasks, error)
        except KeyboardInterrupt:
            self._stop.request()
        else:
            told = facts(next(iter(templates.values())))
            self._bus.emit(GuestReady(facts=told, kernel=kernel))
            keep_notes(next(iter(templates.values())), kernel, self._folder)
            with signals_stop(self._stop):
                self._run_all(tasks, templates)

    def _templates(self, kernel: str, tasks: Sequence[_Task], prepare: Prepare) -> Templates:
        """A template for each kind of guest that is asked for."""

        def tell(progress: Progress) -> None:
            stage, detail, fraction = progress.stage, progress.detail, progress.fraction
            self._bus.emit(
                StageProgress(stage=stage, detail=detail, fraction=fraction, kernel=kernel)
            )

        kinds = dict.fromkeys(_kind(task.scenario) for task in tasks)
        return {
            (memory, icount): prepare(tell, kernel, memory, **({"icount": True} if icount else {}))
            for memory, icount in kinds
        }

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
                    going[pool.submit(self._one, task, templates[_kind(task.scenario)])] = task
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
        place = Place(
            folder=self._folder.scenario(task.label, task.repeat),
            command=self._settings.again((task.kernel,), (task.scenario.name,)),
            label=task.label,
            kernel=task.kernel,
            repeat=task.repeat,
            patience=patience(template, self._settings.jobs) * kernel_named(task.kernel).slowness,
            jobs=self._settings.jobs,
            seats=self._seats,
            keep_failed=self._settings.keep_failed,
        )
        run_it = run_scenario if task.scenario.fail_each is None else run_each
        result = run_it(task.scenario, template, place, self._bus, self._stop)
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
        not_run = tuple(t.label for t in self._tasks if t.number not in self._results)
        result = RunResult(
            results=results,
            duration=time.monotonic() - self._begin,
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

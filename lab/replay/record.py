"""Recording a scenario: it runs as always, but in a guest that is recorded."""

import shutil
import threading
import time
from pathlib import Path

from lab.guest import sections
from lab.guest.template import Template
from lab.progress import ProgressSink, silent
from lab.replay.guest import RecordedTemplate
from lab.replay.recording import Recording, player_identity
from lab.runner.bus import listening
from lab.runner.engine import patience
from lab.runner.events import Event, StepStarted
from lab.runner.folder import Folder, disk_errors
from lab.runner.scenario_run import Place, ScenarioRun
from lab.runner.stop import Stop, signals_stop
from lab.scenario.scenario import Scenario

SLOWER = 3.0
"""How much longer things may take: one processor, and all that it does not know is written down."""


class _Steps:
    """Remembers when each step began."""

    def __init__(self, template: RecordedTemplate) -> None:
        self._template = template

    def handle(self, event: Event) -> None:
        """An event of the run."""
        if isinstance(event, StepStarted):
            self._template.mark(event.path, event.summary)

    def close(self) -> None:
        """Nothing is left to do."""


def record(
    scenario: Scenario,
    template: Template,
    folder: Path,
    *,
    kernel: str,
    command: str,
    progress: ProgressSink = silent,
) -> Recording:
    """Run a scenario once, recorded into a folder, which is emptied first; never raises for what
    it finds. Interrupted if the user ends it.

    `template`: of a guest without `icount`; only what it was made of is used. `command` runs the
    scenario again.
    """
    with disk_errors(folder.parent):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    started = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    source = RecordedTemplate(template, started, progress)
    place = Place(
        folder=Folder(folder),
        command=command,
        label=scenario.name,
        kernel=kernel,
        patience=patience(source, 1, kernel) * SLOWER,
        seats=threading.Semaphore(1),
        keep_failed=True,
    )
    stop = Stop()
    with listening([_Steps(source)]) as bus, signals_stop(stop):
        one = ScenarioRun(scenario, source, place, bus, stop)
        result = one.go()
    stop.check()
    place.folder.write_text(sections.FILE, one.sections)
    recording = Recording(
        scenario=scenario.name,
        verdict=str(result.verdict),
        reason=result.reason,
        qemu=player_identity(),
        kernel=template.image.kernel,
        base=template.image.disk,
        image=template.image.contents,
        started=started,
        memory=template.spec.memory,
        disks=source.disks,
        marks=tuple(source.marks),
        end=source.end,
        debug_modules=template.module.debug_folder if template.module else None,
        module_source=template.module_source.resolve() if template.module_source else None,
    )
    if source.disks or source.end is not None:
        recording.save(folder)
    return recording

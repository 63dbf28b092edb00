"""The templates of a run's guests: made once for each kernel, and told of once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lab.modbuild import ModuleBuildFailed
from lab.progress import Progress
from lab.runner.bus import Bus
from lab.runner.coverage import keep_notes
from lab.runner.events import GuestReady, StageProgress
from lab.runner.folder import RunFolder
from lab.runner.ports import Prepare, Template, facts
from lab.runner.resume import Earlier
from lab.runner.stop import signals_interrupt
from lab.scenario.scenario import Scenario

Kind = tuple[int | None, bool]
"""The guest's memory in bytes (None: the usual), and `icount`."""
Templates = dict[Kind, Template]


def kind_of(scenario: Scenario) -> Kind:
    """Which of the templates its guest is a clone of."""
    return scenario.memory, scenario.icount


class Guests:
    """Templates by kernel, one for each kind of guest that the scenarios of a run ask for.

    Also for scenarios that have a result already: the first one says what the guests are made of,
    and is to be the same whenever a run goes on.
    """

    def __init__(
        self, scenarios: Iterable[Scenario], prepare: Prepare, bus: Bus, folder: RunFolder
    ) -> None:
        self._kinds = tuple(dict.fromkeys(map(kind_of, scenarios)))
        self._prepare = prepare
        self._bus = bus
        self._folder = folder
        self._made: dict[str, Templates] = {}
        self._unbuilt: dict[str, ModuleBuildFailed] = {}
        self._told: set[str] = set()

    def ready(self, kernel: str) -> Templates:
        """The templates of a kernel; those who listen know of what they are made.

        Raises what prepare() raises, and KeyboardInterrupt at a signal.
        """
        made = self._of(kernel)
        if kernel not in self._told:
            self._told.add(kernel)
            first = next(iter(made.values()))
            self._bus.emit(GuestReady(facts=facts(first), kernel=kernel))
            keep_notes(first, kernel, self._folder)
        return made

    def check(self, earlier: Earlier, kernels: Sequence[str]) -> None:
        """UsageError if guests of an earlier part of the run were not the same; see ready()."""
        for kernel in kernels:
            if kernel in earlier.guests:
                earlier.check_guest(kernel, facts(next(iter(self._of(kernel).values()))))

    def _of(self, kernel: str) -> Templates:
        if kernel in self._unbuilt:
            raise self._unbuilt[kernel]
        if kernel not in self._made:
            try:
                with signals_interrupt():
                    self._made[kernel] = {kind: self._one(kernel, *kind) for kind in self._kinds}
            except ModuleBuildFailed as error:
                self._unbuilt[kernel] = error
                raise
        return self._made[kernel]

    def _one(self, kernel: str, memory: int | None, icount: bool) -> Template:
        def tell(progress: Progress) -> None:
            stage, detail, fraction = progress.stage, progress.detail, progress.fraction
            self._bus.emit(
                StageProgress(stage=stage, detail=detail, fraction=fraction, kernel=kernel)
            )

        if icount:
            return self._prepare(tell, kernel, memory, icount=True)
        return self._prepare(tell, kernel, memory)

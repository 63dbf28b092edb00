"""A trial: a built module, and one scenario after the other until one is red.

All trials start from one saved guest, which has no module: each clone gets its own before the first
step. Booting and saving a guest for each mutant would take longer than the scenarios.
"""

from __future__ import annotations

import base64
import io
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from lab.errors import LabError
from lab.guest.disks import DiskSpec
from lab.guest.guest import Guest
from lab.guest.identity import Identity
from lab.guest.prepare import MODULE_FOLDER
from lab.guest.template import Template
from lab.image import DEFAULT_KERNEL
from lab.mutate.records import Outcome, Record
from lab.runner.bus import Bus
from lab.runner.engine import RunSettings, patience
from lab.runner.every_io import run_whole
from lab.runner.folder import RunFolder
from lab.runner.scenario_run import Place
from lab.runner.stop import Stop
from lab.runner.verdict import ScenarioResult, Verdict
from lab.scenario.scenario import Scenario

UNPACK_LIMIT = 120.0
TRIES = 2
"""How often a scenario is tried that ends without a verdict about the module."""
KILLS = frozenset({Verdict.FAILED, Verdict.SPLAT, Verdict.PANIC, Verdict.HANG})
"""Verdicts about the module. One that is `lost` is one if it is lost again."""


@dataclass(frozen=True)
class ForeignModule:
    """A template without a module whose clones have one all the same.

    modules: the archive of its files, as text; after a reboot they are still there. source: the
    folder of what they were built of, which steps that compile against the module read.
    """

    template: Template
    key: str
    modules: str
    source: Path

    @property
    def identity(self) -> Identity:
        """What the clones are made of."""
        return replace(self.template.identity, module=self.key)

    @property
    def module(self) -> None:
        """No module of the cache."""

    def keep(self, guest: Guest, folder: Path) -> None:
        """As Template.keep()."""
        self.template.keep(guest, folder)

    @contextmanager
    def clone(
        self, disks: Sequence[DiskSpec], folder: Path, *, keepable: bool = False
    ) -> Iterator[Guest]:
        """As Template.clone()."""
        template = replace(self.template, module_dir=f"/{MODULE_FOLDER}", module_source=self.source)
        with template.clone(disks, folder, keepable=keepable) as guest:
            unpack = f"mkdir -p /{MODULE_FOLDER} && base64 -d | tar -xz -C /{MODULE_FOLDER} && sync"
            args = {"argv": ["sh", "-ec", unpack], "input": self.modules, "timeout": UNPACK_LIMIT}
            done = guest.channel.request("exec", args, UNPACK_LIMIT)
            if done["status"] != 0:
                raise LabError(f"the guest did not take the module: {done['stderr']}")
            yield guest


def packed(folder: Path) -> str:
    """The files of a folder as an archive, as text."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, path.name)
    return base64.b64encode(archive.getvalue()).decode()


@dataclass(frozen=True)
class Bench:
    """What all trials share. guests: how many run at a time. kernel: its name."""

    templates: dict[int | None, Template]
    folder: RunFolder
    stop: Stop
    guests: int
    kernel: str = DEFAULT_KERNEL


@dataclass(frozen=True)
class Trial:
    """A source tree on its way: `key` is its record's, `module` its module's in the lab's words."""

    key: str
    mutant: str
    tree: Path
    module: str
    scenarios: tuple[Scenario, ...]

    @property
    def label(self) -> str:
        """Its folder among the results."""
        return self.mutant or f"as-it-is/{self.scenarios[0].name}"


def try_scenarios(trial: Trial, modules: str, bench: Bench) -> Record:
    """Run the scenarios of a trial until one is red. Raises Interrupted if the run was stopped."""
    ran: list[ScenarioResult] = []
    for scenario in trial.scenarios:
        result = _verdict(trial, scenario, modules, bench)
        bench.stop.check()
        ran.append(result)
        if result.verdict not in (Verdict.PASSED, Verdict.SKIPPED):
            break
    seconds = round(sum(result.duration for result in ran), 1)
    last = next((one for one in reversed(ran) if one.verdict is not Verdict.SKIPPED), ran[-1])
    return Record(
        trial.key, trial.mutant, _outcome(last), last.name, str(last.verdict), last.reason, seconds
    )


def _outcome(result: ScenarioResult) -> Outcome:
    """What the last scenario that was run says of the tree."""
    if result.verdict is Verdict.PASSED:
        return Outcome.SURVIVED
    if result.verdict in KILLS | {Verdict.LOST}:
        return Outcome.KILLED
    return Outcome.UNCLEAR


def _verdict(trial: Trial, scenario: Scenario, modules: str, bench: Bench) -> ScenarioResult:
    """The result of one scenario; tried again where it says nothing of the module."""
    template = ForeignModule(bench.templates[scenario.memory], trial.module, modules, trial.tree)
    settings = RunSettings(
        results=bench.folder.path, command=("blksnap-lab", "mutate"), kernels=(bench.kernel,)
    )
    words = (trial.mutant,) if trial.mutant else ()
    for number in range(1, TRIES + 1):
        place = Place(
            folder=bench.folder.scenario(f"{trial.label}/{scenario.name}", number),
            command=settings.again(settings.kernels, words),
            label=f"{trial.mutant}/{scenario.name}",
            kernel=bench.kernel,
            repeat=number,
            patience=patience(template, bench.guests, bench.kernel),
        )
        result = run_whole(scenario, template, place, Bus(()), bench.stop)
        if result.verdict not in (Verdict.ERROR, Verdict.LOST):
            break
        bench.stop.check()
    return result

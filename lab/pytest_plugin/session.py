"""What the tests of one session share: templates of guests, and where results go."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import Any

import pytest

from lab.cli.again import again
from lab.cli.options import DEFAULT_MEMORY, MODULE, SCENARIOS, GuestOptions
from lab.errors import LabError, UsageError
from lab.guest.prepare import prepare
from lab.guest.template import Template
from lab.image import DEFAULT_KERNEL
from lab.programs import require_programs
from lab.progress import Progress
from lab.pytest_plugin.plugin import scenarios_root
from lab.runner.bus import Bus
from lab.runner.engine import RunSettings, patience
from lab.runner.every_io import run_whole
from lab.runner.folder import Folder, disk_errors, fresh, make_results
from lab.runner.scenario_run import Place
from lab.runner.stop import Stop
from lab.runner.verdict import ScenarioResult
from lab.scenario.load import SUFFIX, find_scenarios, load_scenario, scenario_name
from lab.scenario.scenario import Scenario

GUESTS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
"""Guests at a time: one for each process that runs tests. Limits are longer accordingly."""
NAME_LENGTH = 120
"""Characters of a folder's name; a test's parameters may be longer than a file system allows."""

__tracebackhide__ = True
"""For pytest: a traceback ends at the line of the test."""


class Lab:
    """Made once per session, and per process of pytest-xdist."""

    def __init__(self, config: pytest.Config) -> None:
        option = config.option
        self._config = config
        self._results: Path = option.lab_results
        self._module: Path = (option.lab_module or MODULE).resolve()
        self._kernel: str = option.lab_kernel or DEFAULT_KERNEL
        self._long: bool = option.lab_long
        self._made: dict[tuple[str, int | None, bool], Template | LabError] = {}
        self._stage = ""

    def template(
        self, memory: int | None = None, kernel: str | None = None, *, icount: bool = False
    ) -> Template:
        """What guests with so much memory (bytes; None: the usual) are clones of.

        icount: their time is the number of their instructions, see GuestSettings.
        The first one builds what is not in the cache: image, module, template; minutes. Raises
        LabError; the same one again whenever the same is asked for.
        """
        key = kernel or self._kernel, memory, icount
        if key not in self._made:
            try:
                self._made[key] = self._prepare(*key)
            except LabError as error:
                self._made[key] = error
        made = self._made[key]
        if isinstance(made, LabError):
            raise made.with_traceback(None) from None
        return made

    def run(self, name: str | Path, kernel: str | None = None) -> ScenarioResult:
        """Run a scenario of the lab by its name, "cbt/exact-map", or any by its file, *.yaml.

        kernel: its name; None: that of --lab-kernel. In a guest of its own; whatever comes of it is
        the result's verdict. Raises UsageError if there is no such scenario or its file is bad, and
        other LabErrors if there can be no guest.
        """
        file, root = self._find(name)
        return self.run_loaded(load_scenario(file, root, long=self._long), root, kernel)

    def run_loaded(
        self, scenario: Scenario, root: Path, kernel: str | None = None
    ) -> ScenarioResult:
        """As run(). root: the folder of all scenarios, which its name is relative to."""
        kernel = kernel or self._kernel
        template = self.template(scenario.memory, kernel, icount=scenario.icount)
        words = again(GuestOptions(module=self._module), root, long=self._long)
        settings = RunSettings(self._results, command=words)
        place = self.place(
            template, scenario.name, settings.again((kernel,), (scenario.name,)), kernel
        )
        return run_whole(scenario, template, place, Bus([]), Stop())

    def _find(self, name: str | Path) -> tuple[Path, Path]:
        """The file of a scenario, and the folder of all that it is one of."""
        path = Path(name).absolute()
        if path.suffix == SUFFIX:
            return path, scenarios_root(path, self._config) or path.parent
        path = SCENARIOS / f"{name}{SUFFIX}"
        if not path.is_file():
            known = [scenario_name(one, SCENARIOS) for one in find_scenarios(SCENARIOS)]
            near = difflib.get_close_matches(str(name), known, n=1)
            right = f"did you mean {near[0]!r}?" if near else "see `blksnap-lab list`"
            raise UsageError(f"no scenario is called {str(name)!r}", right)
        return path, SCENARIOS

    def place(
        self, template: Template, label: str, command: str, kernel: str | None = None
    ) -> Place:
        """A new folder in the results of this session, and how long things may take in a guest."""
        return Place(
            folder=self._new_folder(label),
            command=command,
            label=label,
            kernel=kernel or self._kernel,
            patience=patience(template, GUESTS, kernel or self._kernel),
        )

    def close(self) -> None:
        """What was prepared may be pruned from the cache again."""
        for made in self._made.values():
            if isinstance(made, Template):
                made.release()
        self._made.clear()

    def _prepare(self, kernel: str, memory: int | None, icount: bool) -> Template:
        require_programs()
        guest = GuestOptions(module=self._module, memory=str(memory or DEFAULT_MEMORY))
        settings = guest.settings(kernel)
        return prepare(settings.counting() if icount else settings, self._tell)

    def _new_folder(self, label: str) -> Folder:
        make_results(self._results, "--lab-results")
        parts = [re.sub(r"[^\w.+-]", "_", part)[:NAME_LENGTH] for part in re.split("/|::", label)]
        with disk_errors(self._results):
            return Folder(fresh(self._results.joinpath(*parts)))

    def _tell(self, progress: Progress) -> None:
        """A line when a stage begins: what takes so long before the first test."""
        if progress.stage == self._stage:
            return
        self._stage = progress.stage
        reporter: Any = self._config.pluginmanager.get_plugin("terminalreporter")
        capture: Any = self._config.pluginmanager.get_plugin("capturemanager")
        if reporter is None or capture is None:
            return  # a process of pytest-xdist, which has no terminal
        with capture.global_and_fixture_disabled():
            reporter.ensure_newline()
            reporter.write_line(f"{progress.stage}: {progress.detail}")

"""Scenario files as pytest collects and runs them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.errors import LabError, UsageError
from lab.pytest_plugin.plugin import BUILD, lab_of
from lab.report.summary import explained
from lab.runner.scenario_run import CHECKS_LIMIT
from lab.runner.verdict import ScenarioResult, Verdict
from lab.scenario.load import load_scenario
from lab.scenario.scenario import Scenario


class NotPassed(Exception):  # noqa: N818
    """A scenario did not pass; says what it found."""

    def __init__(self, result: ScenarioResult) -> None:
        super().__init__("\n".join(explained(result)))
        self.result = result


def judge(result: ScenarioResult) -> None:
    """Nothing for a scenario that passed. Raises NotPassed, and pytest's skip with its reason."""
    if result.verdict is Verdict.SKIPPED:
        pytest.skip(result.reason)
    if result.verdict is not Verdict.PASSED:
        raise NotPassed(result)


class ScenarioFile(pytest.File):
    """A scenario file; `root` is the folder that its name is relative to."""

    def __init__(self, root: Path, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._root = root

    def collect(self) -> Iterator[pytest.Item]:
        """Its scenario; none if that is run only when asked for, and is not.

        CollectError with every mistake and its line if it is a bad one.
        """
        long = self.config.option.lab_long
        try:
            scenario = load_scenario(self.path, self._root, long=long)
        except UsageError as error:
            raise self.CollectError(str(error)) from error
        if not (scenario.default or self._is_asked_for()):
            return
        yield ScenarioItem.from_parent(self, name=scenario.name, scenario=scenario, root=self._root)

    def _is_asked_for(self) -> bool:
        """Whether it was named, or its group, and not only a folder with several."""
        base, places = self.config.invocation_params.dir, {self.path}
        if self.path.parent != self._root:
            places.add(self.path.parent)
        return any((base / word.split("::")[0]).resolve() in places for word in self.config.args)


class ScenarioItem(pytest.Item):
    """A scenario, marked with its group, and with the rules and traps it is about."""

    def __init__(self, scenario: Scenario, root: Path, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scenario = scenario
        self._root = root
        self.add_marker("guest")
        if scenario.group:
            line = f"{scenario.group}: scenarios of the group {scenario.group}"
            if line not in self.config.getini("markers"):
                self.config.addinivalue_line("markers", line)
            self.add_marker(scenario.group)
        if scenario.proves:
            self.add_marker(pytest.mark.proves(*scenario.proves))
        if scenario.regression_for:
            self.add_marker(pytest.mark.regression_for(*scenario.regression_for))
        if self.config.pluginmanager.has_plugin("timeout"):
            # The runner ends what takes too long, and says what it was; this is for its own faults.
            limit = BUILD + 4 * (scenario.timeout + CHECKS_LIMIT)
            self.add_marker(pytest.mark.timeout(limit))

    def setup(self) -> None:
        """Make the template; what goes wrong here is an error, not a failure."""
        lab_of(self.config).template(self.scenario.memory, icount=self.scenario.icount)

    def runtest(self) -> None:
        """Run it, and judge it."""
        result = lab_of(self.config).run_loaded(self.scenario, self._root)
        self.user_properties += [
            ("verdict", result.verdict.value),
            ("results", str(result.folder)),
            *(("proves", rule) for rule in result.proves),
        ]
        judge(result)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where it is."""
        return self.path, 0, self.name

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *args: Any) -> Any:
        """What it found, without a traceback of the lab."""
        if isinstance(excinfo.value, NotPassed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, *args)

    def lab_explain(self, report: pytest.TestReport, error: BaseException) -> None:
        """Put right what pytest cannot know of the end of a scenario."""
        if isinstance(error, NotPassed) and error.result.lab_failed:
            report.when = "setup"  # what fails there pytest calls an error
        elif isinstance(error, pytest.skip.Exception):
            report.longrepr = (str(self.path), 1, f"Skipped: {error.msg}")
        elif isinstance(error, LabError):
            report.longrepr = str(error)

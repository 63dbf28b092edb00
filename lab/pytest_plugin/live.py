"""A guest in the hands of a Python test, with all that the lab does around steps of scenarios."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml

from lab.errors import LabError, UsageError
from lab.pytest_plugin.guest import LabGuest
from lab.pytest_plugin.session import Lab
from lab.report.summary import explained
from lab.runner.bus import Bus
from lab.runner.failures import StepFailed
from lab.runner.scenario_run import ScenarioRun
from lab.runner.start import SkipScenario
from lab.runner.stop import Stop
from lab.scenario.load import parse_scenario
from lab.scenario.mistakes import ScenarioError, listed
from lab.scenario.scenario import Scenario

DISKS: dict[str, object] = {"a": "256MiB", "store": "256MiB"}
"""Disks that every guest of a test has, with their sizes unless its marker says others."""
KEYS = ("disks", "devices", "module", "memory", "requires", "timeout", "step_timeout")
"""Keys of a scenario file that the marker `scenario` takes."""
NO_STEPS: list[dict[str, object]] = [{"check_snapshots": {"snapshots": []}}]


class LiveGuest:
    """A guest that a test works with."""

    def __init__(self, guest: LabGuest, run: ScenarioRun) -> None:
        self.guest = guest
        self._run = run

    def finish(self, error: BaseException | None = None) -> str:
        """Make all automatic checks, after the test has ended with this error or without one.

        What they found, and where everything is kept; "" if nothing is wrong at all.
        """
        if isinstance(error, LabError):
            self._end_with(error)
        self._run.check_all()
        result = self._run.result()
        if result.findings:
            return "\n".join(explained(result))
        if error is None:
            return ""
        # The results say too that it did not pass.
        self._end_with(StepFailed(f"the test ended with {error!r}"))
        result = self._run.result()
        return f"all checks after it held\n  results: {result.folder}\n  again:   {result.command}"

    def _end_with(self, error: LabError) -> None:
        self._run.guarded("", lambda: _raise(error), where=lambda: self.guest.where)


@contextmanager
def open_guest(lab: Lab, item: pytest.Item) -> Iterator[LiveGuest]:
    """A guest for a test. Fails the test if the guest cannot be made ready, skips it if it lacks
    what the test's marker requires. Raises UsageError for a marker that is wrong."""
    scenario = scenario_of(item)
    template = lab.template(scenario.memory)
    command = shlex.join(["pytest", item.nodeid])
    place = lab.place(template, item.nodeid, command)
    run = ScenarioRun(scenario, template, place, Bus([]), Stop())
    try:
        with run.clone() as context:
            if not run.start():
                pytest.fail("\n".join(explained(run.result())), pytrace=False)
            yield LiveGuest(LabGuest(context, run.stepper(context)), run)
    except SkipScenario as skip:
        pytest.skip(skip.what)


def scenario_of(item: pytest.Item) -> Scenario:
    """What the guest of a test is made of, as its markers say; the one nearest to it wins.

    UsageError if that cannot be.
    """
    told = f"{item.nodeid}: the marker `scenario`"
    keys: dict[str, Any] = {}
    for marker in reversed(list(item.iter_markers("scenario"))):
        if marker.args or set(marker.kwargs) - set(KEYS):
            raise UsageError(f"{told} takes {', '.join(KEYS)}")
        keys |= marker.kwargs
    disks = keys.get("disks", {})
    if isinstance(disks, dict):
        keys["disks"] = {
            name: one if isinstance(one, dict) else {"size": one}
            for name, one in {**DISKS, **disks}.items()
        }
    data = {"summary": f"pytest {item.nodeid}"[:200], **keys, "steps": NO_STEPS}
    try:
        return parse_scenario(yaml.safe_dump(data), item.nodeid, item.nodeid)
    except ScenarioError as error:
        raise UsageError(listed(told, error.mistakes)) from None


def _raise(error: LabError) -> None:
    raise error

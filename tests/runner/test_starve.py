"""Each allocation of a command fails in turn (starve)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab.errors import UsageError
from lab.runner import starve
from lab.runner.events import StepFinished
from lab.runner.verdict import ScenarioResult, Verdict
from lab.scenario.load import parse_scenario

from .conftest import Recorder

RunOne = Callable[..., ScenarioResult]

HEAD = """
summary: A snapshot is created without memory
disks:
  a: {size: 1MiB}
  store: {size: 4MiB}
steps:
"""
CREATE = HEAD + "  - starve: {step: {create: {devices: [a]}}, undo: [{destroy: {}}], least: 3}\n"
TAKE = (
    HEAD
    + """
  - starve:
      prepare: [{create: {devices: [a]}}, {append_storage: {device: store}}]
      step: {take: {}}
      undo: [{destroy: {}}]
"""
)


def outcomes(recorder: Recorder) -> dict[str, object]:
    """What the starved step told."""
    found = [e for e in recorder.events if isinstance(e, StepFinished) and e.verb == "starve"]
    return dict(found[0].detail)


IMAGES = (
    HEAD
    + """
  - create: {devices: [a]}
  - append_storage: {device: store}
  - take:
  - starve: {step: {check_images: {}}}
"""
)
# It compares the images first: these reads are not what is meant.
DESTROY = (
    HEAD
    + """
  - starve:
      prepare: [{create: {devices: [a]}}, {append_storage: {device: store}}, {take: {}}]
      step: {destroy: {}}
"""
)
READ_IMAGE = IMAGES.replace("check_images: {}", "read_image: {device: a, size: 64KiB}")
WRITE_IMAGE = IMAGES.replace("check_images: {}", "write_image: {device: a, size: 64KiB}")


@pytest.mark.parametrize("text", [CREATE, TAKE, DESTROY, IMAGES, READ_IMAGE, WRITE_IMAGE])
def test_each_allocation_fails_once(run_one: RunOne, recorder: Recorder, text: str) -> None:
    assert run_one(text).verdict is Verdict.PASSED
    assert outcomes(recorder) == {
        starve.Outcome.FAILED: 2,
        starve.Outcome.BORNE: 1,
        starve.Outcome.ENDED: 1,
    }


@pytest.mark.parametrize("text", [CREATE, READ_IMAGE])
def test_another_error_than_enomem_fails(run_one: RunOne, text: str) -> None:
    result = run_one(text, "wrong errno")
    assert "at its allocation 1 it must fail with ENOMEM, but: " in result.reason
    assert "EIO" in result.reason


def test_what_a_failed_command_leaves_behind_is_found(run_one: RunOne) -> None:
    assert run_one(CREATE, "half done").verdict is Verdict.FAILED


def test_too_few_failures_prove_nothing(run_one: RunOne) -> None:
    result = run_one(CREATE.replace("least: 3", "least: 4"))
    assert "3 allocations failed; must be 4 or more" in result.reason


def test_a_command_that_never_gets_enough_fails(
    run_one: RunOne, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.runner.stepper.MOST_ALLOCATIONS", 5)
    assert "create allocates more than 5 times" in run_one(CREATE, "endless").reason


@pytest.mark.parametrize(
    ("step", "what"),
    [
        ("{umount: {at: /mnt}}", "`umount` cannot be starved"),
        ("{take: {snapshot: t}}", "`t` is not created yet"),
    ],
)
def test_mistakes_within_are_found(step: str, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        parse_scenario(f"{HEAD}  - starve: {{step: {step}}}\n", "g/s", "s.yaml")

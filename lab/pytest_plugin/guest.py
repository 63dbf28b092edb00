"""What a Python test has in its hands: a guest, its disks, its snapshots.

    def test_an_image_keeps_what_was_there(disk, snapshot):
        disk.write(size="1MiB")
        snapshot.read(disk)

Whatever is done through these objects is a step of the scenario language, so the lab's model knows
of it, and what is read is compared with the model, every sector. Sizes are bytes, or text as in
scenarios: "64KiB".
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lab.errors import LabError, UsageError
from lab.pytest_plugin.copying import copy_in
from lab.runner.context import Context
from lab.runner.stepper import Stepper
from lab.runner.wire import read_map
from lab.scenario.explain import explain
from lab.scenario.mistakes import listed
from lab.scenario.step import VERBS, Step
from lab.scenario.yaml_tree import Tree

HERE = str(Path(__file__).parent)
__tracebackhide__ = True
"""For pytest: a traceback ends at the line of the test."""


class LabDisk:
    """A disk of the guest, or a device on top of some; name: as steps call it."""

    def __init__(self, guest: LabGuest, name: str) -> None:
        self.name = name
        self._guest = guest

    @property
    def path(self) -> str:
        """Its path in the guest."""
        return self._guest.context.device(self.name).path

    @property
    def size(self) -> int:
        """Its size in bytes."""
        return self._guest.context.device(self.name).size

    def write(self, **arguments: object) -> None:
        """Write stamps, to all of it or where at, size, ranges, random say: the verb `write`."""
        self._guest.do("write", device=self, **arguments)

    def read(self, **arguments: object) -> None:
        """Read it and compare every sector with what was written: the verb `read`."""
        self._guest.do("read", device=self, **arguments)

    def cbt(self) -> bytes:
        """Its CBT map, a byte for each tracking block, compared with the model."""
        self._guest.do("read_cbt", device=self)
        runs = read_map(self._guest.context, self.path)
        return b"".join(bytes([run.value]) * run.count for run in runs)


class LabSnapshot:
    """A snapshot that was taken; name: as steps call it."""

    def __init__(self, guest: LabGuest, name: str) -> None:
        self.name = name
        self._guest = guest

    def image(self, disk: LabDisk) -> str:
        """The guest's path of the image of a disk."""
        return self._guest.context.image(self.name, disk.name)

    def read(self, disk: LabDisk, **arguments: object) -> None:
        """Read the image of a disk and compare every sector: the verb `read_image`."""
        self._guest.do("read_image", snapshot=self, device=disk, **arguments)

    def write(self, disk: LabDisk, **arguments: object) -> None:
        """Write stamps into the image of a disk: the verb `write_image`."""
        self._guest.do("write_image", snapshot=self, device=disk, **arguments)

    def destroy(self) -> None:
        """Compare all images with the model, then destroy it."""
        self._guest.do("destroy", snapshot=self)


class LabGuest:
    """A running guest with the module loaded.

    context: all that the lab knows of it. where: the step that was done last.
    """

    def __init__(self, context: Context, stepper: Stepper) -> None:
        self.context = context
        self._stepper = stepper

    @property
    def where(self) -> str:
        """The step that was done last, and the line of the test that did it."""
        return self._stepper.where or "before the first step"

    def do(self, verb: str, **arguments: object) -> Mapping[str, object]:
        """Do a step of the scenario language; returns what it found out.

        Raises StepFailed if a check does not hold, AgentFailure if the guest refuses, UsageError
        for arguments that the verb does not take.
        """
        step = _step(verb, arguments)
        try:
            return self._stepper.run(step, _caller())
        except LabError as error:
            raise error.with_traceback(None) from None

    def sh(self, script: str, *, changes: Sequence[LabDisk] = ()) -> str:
        """Run a script in the guest's shell, which must succeed; returns what it printed.

        `changes`: disks it writes to; the model then no longer knows what they hold. What stays
        mounted is mounted with do("mount", ...): a file system writes whenever it likes.
        """
        context = self.context
        with context.deadline.step(context.scenario.step_timeout):
            printed = context.run(["sh", "-ec", script]).stdout
        for disk in changes:
            context.model.forget(disk.name)
        return printed

    def copy(self, path: str | Path, to: str) -> None:
        """Copy a file or a folder of the host into the guest; `to` is its path there then.

        Modes stay, folders above it are made, no __pycache__ goes along. UsageError if there is no
        such file, or `to` is no whole path; StepFailed if the guest cannot take it.
        """
        context = self.context
        with context.deadline.step(context.scenario.step_timeout):
            copy_in(context, Path(path), to)

    def request(self, op: str, **arguments: object) -> dict[str, Any]:
        """Ask the agent for one of its operations (lab/agent/PROTOCOL.md), past the model."""
        return self.context.request(op, arguments)

    def disk(self, name: str) -> LabDisk:
        """A disk or device by its name. StepFailed if there is none."""
        return LabDisk(self, self.context.device(name).name)

    def snapshot(self, *disks: LabDisk, storage: str = "store") -> LabSnapshot:
        """Create a snapshot of disks, give it a whole disk as storage, and take it."""
        count = len(self.context.snapshots) + len(self.context.destroyed)
        taken = LabSnapshot(self, f"s{count}" if count else "s")
        self.do("create", snapshot=taken, devices=list(disks))
        self.do("append_storage", snapshot=taken, device=storage)
        self.do("take", snapshot=taken)
        return taken


def _step(verb: str, arguments: Mapping[str, object]) -> Step:
    """A step of the scenario language. UsageError if it is none, as a file with it would have."""
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, n=1)
        raise UsageError(f"no verb is called {verb!r}", f"{near[0]}?" if near else None)
    data = {verb: _plain(arguments)}
    try:
        return Step.model_validate(data)
    except ValidationError as error:
        mistakes = explain(error, Step, Tree(data), "")
        raise UsageError(listed("no step can be like this", mistakes)) from None


def _plain(value: object) -> object:
    """Arguments of a step: disks and snapshots become their names."""
    if isinstance(value, LabDisk | LabSnapshot):
        return value.name
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


def _caller() -> str:
    """The line of the test that is at work, e.g. "test_first.py:12"."""
    frame = sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(HERE):
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"

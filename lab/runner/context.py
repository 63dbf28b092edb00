"""What the steps of one scenario share: the guest, the model, the names of things, the time."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lab.flavour import Flavour
from lab.guest.channel import ChannelTimeout
from lab.image import Kernel
from lab.model.disagreement import Disagreement
from lab.model.seen import LoadWrite
from lab.model.world import World
from lab.runner.cuts import Cuts
from lab.runner.deadline import Deadline
from lab.runner.failures import StepFailed, TooLong, answers
from lab.runner.figures import Figures
from lab.runner.folder import Folder
from lab.runner.ports import Guest
from lab.runner.power import Power
from lab.runner.starve import Starved
from lab.runner.stop import Stop
from lab.runner.watch import KernelLog
from lab.scenario.scenario import Scenario
from lab.scenario.steps_load import StartLoad
from lab.tap.record import Tap
from lab.units import SECTOR

SHOWN_DISAGREEMENTS = 40
STUCK_AFTER = 20.0
"""Seconds without an answer after which a request counts as stuck, and not as late."""


@dataclass
class Device:
    """A device as the guest knows it.

    size: bytes. number: major and minor. kind: "disk" or that of a stacked device.
    """

    name: str
    path: str
    size: int
    number: tuple[int, int]
    kind: str = "disk"

    @property
    def sectors(self) -> int:
        """Size in sectors of 512 bytes."""
        return self.size // SECTOR


@dataclass
class Snapshot:
    """A snapshot that lives in the guest.

    images: path by name of the original, after the take; sectors: of the originals at the take.
    """

    name: str
    id: str
    devices: tuple[str, ...]
    images: dict[str, str] = field(default_factory=dict)
    sectors: dict[str, int] = field(default_factory=dict)

    @property
    def taken(self) -> bool:
        """Whether it has images."""
        return bool(self.images)


@dataclass
class Mounted:
    """Something mounted; `snapshot` if it is the image of `device`."""

    at: str
    device: str
    snapshot: str | None


@dataclass(frozen=True)
class Memory:
    """Bytes that the module says it holds, and that the guest has in use."""

    module: int
    guest: int


@dataclass
class Load:
    """A background load that runs.

    told, events: entries of its report that the model knows of. refused: writes that failed.
    tags: of a ring's devices, in order.
    marks: of a ring, per snapshot: rounds complete before the take, and begun when it returned.
    """

    name: str
    kind: str
    action: StartLoad
    told: int = 0
    events: int = 0
    refused: list[LoadWrite] = field(default_factory=list)
    tags: tuple[int, ...] = ()
    marks: dict[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Program:
    """A program that ended in the guest."""

    argv: tuple[str, ...]
    status: int
    stdout: str
    stderr: str

    def failed(self, why: str) -> StepFailed:
        """The error that says that it did not do what it should."""
        lines = [*_tail(self.stdout), *_tail(self.stderr)]
        return StepFailed(f"{self.argv[0]} {why}", [" ".join(self.argv), *lines])


class Context:
    """The state of one scenario in its guest. Used by one thread; several may call request() at a
    time."""

    def __init__(
        self,
        scenario: Scenario,
        guest: Guest,
        folder: Folder,
        stop: Stop,
        *,
        kernel: Kernel,
        patience: float,
    ) -> None:
        self.scenario = scenario
        self.guest = guest
        self.kernel = kernel
        self.folder = folder
        self.stop = stop
        self.deadline = Deadline(scenario.timeout, patience)
        self.log = KernelLog(patience, (self.flavour.module, self.flavour.filter))
        self.parameters = dict(scenario.module)
        self.model = World(self.parameters)
        self.devices: dict[str, Device] = {}
        self.gone: dict[str, Device] = {}
        self.snapshots: dict[str, Snapshot] = {}
        self.mounts: dict[str, Mounted] = {}
        self.frozen: set[str] = set()
        self.loads: dict[str, Load] = {}
        self.ended: dict[str, Load] = {}
        """Loads that were stopped; they know which takes they have seen."""
        self.power = Power()
        self.cuts = Cuts()
        self.powered = True
        """False between a power cut and the boot: there is nobody to ask."""
        self.counts = False
        """Whether the module counts its branches; boots: how many boots have counted."""
        self.boots = 0
        self.code: list[range] = []
        """Where the module is or was in a debug kernel."""
        self.tap: Tap | None = None
        self.consequences: list[str] = []
        self.compiled: set[str] = set()
        self.memory_marks: dict[str, Memory] = {}
        self.digests: dict[str, dict[int, str]] = {}
        self.generations: dict[str, list[str]] = {}
        self.latest_generation: dict[str, str] = {}
        self.copies: dict[str, str] = {}
        self.reports: dict[str, object] = {}
        self.turn = 0
        self.where = ""
        self.module_loaded = False
        self.keepable = False
        self.sections = ""
        """Where the modules are, in a guest that may be kept; see lab.guest.sections."""
        self.expecting = False
        self.starved: Starved | None = None
        self.destroyed: dict[str, Snapshot] = {}
        self.spoiled: list[tuple[int, int, int]] = []
        self.unclaimed: list[tuple[str, str, str]] = []
        self.figures = Figures()

    def request(
        self, op: str, args: Mapping[str, object] | None = None, limit: float | None = None
    ) -> dict[str, Any]:
        """Ask the agent, within the time that is left and at most `limit` seconds (with patience).

        Raises AgentFailure, ChannelTimeout, GuestLost, TooLong, Interrupted. A request that got
        only what little was left of a step's time is not stuck when that is over: TooLong.
        """
        if self.starved is not None and self.starved.takes(op):
            answer = self._ask("starved", self.starved.wrapped(op, args or {}), limit)
            return self.starved.unwrapped(answer)
        return self._ask(op, args or {}, limit)

    def _ask(self, op: str, args: Mapping[str, object], limit: float | None) -> dict[str, Any]:
        self.stop.check()
        left = self.deadline.left()
        longest = math.inf if limit is None else limit * self.deadline.patience
        try:
            answer = self.guest.channel.request(op, args, min(left, longest))
        except ChannelTimeout:
            if left < min(longest, STUCK_AFTER) and answers(self.guest):
                self.deadline.left()  # says which limit it was
                raise TooLong(f"no time was left for {op}") from None
            raise
        self.figures.clock(answer)
        return answer

    def run(self, argv: Sequence[str], *, input: str = "", check: bool = True) -> Program:
        """Run a program in the guest. StepFailed if it fails and `check` is set."""
        left = self.deadline.left()
        answer = self.request(
            "exec", {"argv": list(argv), "timeout": max(1.0, left - 2.0), "input": input}
        )
        program = Program(
            tuple(argv), int(answer["status"]), str(answer["stdout"]), str(answer["stderr"])
        )
        if check and program.status != 0:
            raise program.failed(f"ended with status {program.status}")
        return program

    def device(self, name: str) -> Device:
        """A device by its name. StepFailed if it is not there (any more)."""
        try:
            return self.devices[name]
        except KeyError:
            raise StepFailed(f"there is no device {name!r} now") from None

    def snapshot(self, name: str) -> Snapshot:
        """A living snapshot by its name; in a step that must fail also one that was destroyed.

        StepFailed if there is none.
        """
        found = self.snapshots.get(name)
        if found is None and self.expecting:
            found = self.destroyed.get(name)
        if found is None:
            raise StepFailed(f"there is no snapshot {name!r} now")
        return found

    def image(self, snapshot: str, device: str) -> str:
        """The guest's path of an image. StepFailed if there is none."""
        try:
            return self.snapshot(snapshot).images[device]
        except KeyError:
            raise StepFailed(f"snapshot {snapshot!r} has no image of {device!r} now") from None

    def name_of(self, number: tuple[int, int]) -> str:
        """The scenario's name of a device by its number, also of one that is gone; the number as
        text if it has none."""
        known = (*self.devices.values(), *self.gone.values())
        names = [device.name for device in known if device.number == number]
        return names[0] if names else f"{number[0]}:{number[1]}"

    def number_of(self, name: str) -> tuple[int, int]:
        """The number of a device, also of one that is gone."""
        return (self.devices | self.gone)[name].number

    @property
    def flavour(self) -> Flavour:
        """The names of the module."""
        return self.guest.flavour

    def path(self, device: str, snapshot: str | None = None) -> str:
        """The guest's path of a device, or of its image in a snapshot."""
        return self.device(device).path if snapshot is None else self.image(snapshot, device)

    def filled_in(self, text: str) -> str:
        """`text` with {a} replaced by the path of device a, {s/a} by that of its image in s;

        {blksnap:node} and the like: see Flavour.
        """

        def path_of(match: re.Match[str]) -> str:
            snapshot, _, device = match[1].rpartition("/")
            return self.path(device, snapshot or None)

        text = self.flavour.filled_in(text)
        return re.sub(r"\{([a-z][a-z0-9_-]*(?:/[a-z][a-z0-9_-]*)?)\}", path_of, text)


Executor = Callable[[Context, Any], Mapping[str, object]]
"""Does a verb: takes its arguments, returns what the report shows."""


def agree(what: str, disagreements: Sequence[Disagreement]) -> None:
    """StepFailed if there are disagreements: the first in its message, the rest as evidence."""
    if disagreements:
        shown = [str(one) for one in disagreements[:SHOWN_DISAGREEMENTS]]
        rest = len(disagreements) - len(shown)
        more = [f"... and {rest} more"] if rest else []
        raise StepFailed(f"{what}: {shown[0]}" if what else shown[0], [*shown, *more])


def _tail(text: str, lines: int = 40) -> list[str]:
    return text.rstrip("\n").split("\n")[-lines:] if text else []

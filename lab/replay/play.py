"""Replaying a recording: to its end, to compare; or to an instant, to be debugged from there."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from lab.errors import LabError, UsageError
from lab.guest.machine import Machine
from lab.guest.qmp import QmpError
from lab.progress import Progress, ProgressSink, silent
from lab.replay.recording import CONSOLE, Mark, Recording

STILL_LIMIT = 180.0
"""Seconds without an instruction after which a replay counts as stuck."""
POLL = 0.5
STATES = 8
"""States that are saved at steps, at most; going backwards starts from the nearest one before."""
NEAR = 1_000_000
"""Instructions before the instant of the last state: what a step backwards has to replay."""
BUSY = 5_000
"""Instructions after a mark: while it was made the guest was idle. Many things happen at one idle
instruction, and QEMU does not find its way from a state among them."""
STEP = 20_000
"""Instructions to go on when a state cannot be saved because a disk is at work."""
TRIES = 200


class ReplayFailed(LabError):  # noqa: N818 - it says what happened
    """QEMU did not replay a recording as it was recorded."""


@dataclass(frozen=True)
class Comparison:
    """The consoles of a recording and of its replay; `same`: bytes from the start that agree."""

    recorded: bytes
    replayed: bytes

    @property
    def same(self) -> int:
        """How many bytes from the start agree."""
        pairs = zip(self.recorded, self.replayed, strict=False)
        shorter = min(len(self.recorded), len(self.replayed))
        return next((at for at, (one, other) in enumerate(pairs) if one != other), shorter)

    @property
    def identical(self) -> bool:
        """Whether they are the same, byte for byte, and there is something to compare."""
        return bool(self.recorded) and self.recorded == self.replayed

    def told(self) -> str:
        """In a line."""
        if self.identical:
            return f"console identical, {len(self.recorded)} bytes"
        return (
            f"console differs after {self.same} bytes: {len(self.recorded)} recorded,"
            f" {len(self.replayed)} replayed"
        )


def compare_console(
    recording: Recording, folder: Path, scratch: Path, progress: ProgressSink = silent
) -> Comparison:
    """Replay a recording to its end, in an empty folder `scratch`.

    ReplayFailed if it gets stuck.
    """
    recording.check()
    scratch.mkdir(parents=True, exist_ok=True)
    machine = Machine(recording.replay_spec(folder, scratch), scratch)
    with contextlib.closing(machine):
        machine.launch()
        machine.qmp("cont")
        _until_end(machine, recording, progress)
        if machine.exit_status:
            raise ReplayFailed(f"{machine.loss().what}: {machine.log_path.read_text().strip()}")
    return Comparison((folder / CONSOLE).read_bytes(), machine.console_path.read_bytes())


def _until_end(machine: Machine, recording: Recording, progress: ProgressSink) -> None:
    last, since = -1, time.monotonic()
    while not machine.wait_exit(POLL):
        now = _icount(machine)
        if now is None:
            continue
        if now != last:
            last, since = now, time.monotonic()
        if time.monotonic() - since > STILL_LIMIT:
            shown = len(machine.console_text())
            raise ReplayFailed(
                f"the replay stands still at instruction {now}, {shown} bytes into the console"
            )
        end = recording.end or (recording.marks[-1].icount if recording.marks else 0)
        progress(Progress("replay", "to the end", min(1.0, now / end) if end else None))


def _icount(machine: Machine) -> int | None:
    """Instructions so far; None if the machine has just ended."""
    try:
        return int(machine.qmp("query-replay")["icount"])
    except LabError:
        if machine.wait_exit(POLL):
            return None
        raise


def instant(recording: Recording, where: str | None = None) -> Mark:
    """The instant to debug from, a moment before a step ("steps[3]"), "failure" or "end".

    Without a choice: the first finding, or the end, or the last step that was begun. UsageError if
    there is no such instant.
    """
    known = {mark.where: mark for mark in recording.marks}
    if recording.end is not None:
        known["end"] = Mark(recording.end, "end", "the end of the recording")
    chosen = (where,) if where is not None else ("failure", "end", *list(known)[-1:])
    for name in chosen:
        if name in known:
            return replace(known[name], icount=known[name].icount - BUSY)
    raise UsageError(
        f"the recording has no instant {where!r}" if where else "the recording has no instants",
        f"one of: {', '.join(known)}" if known else "record anew: --fresh",
    )


@contextlib.contextmanager
def opened(
    recording: Recording,
    folder: Path,
    scratch: Path,
    where: str | None = None,
    progress: ProgressSink = silent,
) -> Iterator[tuple[Machine, Mark]]:
    """A replay that stands at an instant, with states saved on the way there; and the instant.

    A debugger can go on from there, and back. `scratch` gets what changes.
    """
    recording.check()
    target = instant(recording, where)
    scratch.mkdir(parents=True, exist_ok=True)
    machine = Machine(recording.replay_spec(folder, scratch), scratch)
    with contextlib.closing(machine):
        machine.launch()
        for number, icount in enumerate(stops(recording, target)):
            told = f"to instruction {icount}, a state there"
            progress(Progress("replay", told, icount / target.icount))
            _save_state(machine, icount, f"s{number}", target.icount)
        progress(Progress("replay", f"to instruction {target.icount}"))
        _go(machine, target.icount)
        yield machine, target


def stops(recording: Recording, target: Mark) -> list[int]:
    """Where states are saved on the way to an instant: at steps, evenly chosen, and just before."""
    near = target.icount - NEAR
    found = sorted({mark.icount + BUSY for mark in recording.marks if mark.icount + BUSY < near})
    if len(found) > STATES:
        found = [found[round(n * (len(found) - 1) / (STATES - 1))] for n in range(STATES)]
    return [*found, near]


def _save_state(machine: Machine, icount: int, name: str, end: int) -> None:
    """Save a state at an instruction, or soon after; none if disks are at work all the time."""
    for wanted in range(icount, min(icount + TRIES * STEP, end), STEP):
        if (_icount(machine) or 0) < wanted:
            _go(machine, wanted)
        said = machine.monitor_line(f"savevm {name}").strip()
        if not said:
            return
        if "right now" not in said:
            raise ReplayFailed(f"QEMU does not save a state at instruction {wanted}: {said}")


def _go(machine: Machine, icount: int) -> None:
    """Let the replay run up to an instruction. ReplayFailed if it does not get there."""
    machine.qmp("replay-break", {"icount": icount})
    machine.qmp("cont")
    last, since = -1, time.monotonic()
    while True:
        try:
            machine.wait_event("STOP", timeout=POLL)
            return
        except QmpError:
            now = _icount(machine)
            if now is None:
                said = machine.log_path.read_text(errors="replace").strip()
                raise ReplayFailed(
                    f"the replay ended before instruction {icount}: {said}"
                ) from None
            if now != last:
                last, since = now, time.monotonic()
            if time.monotonic() - since > STILL_LIMIT:
                raise ReplayFailed(f"the replay stands still at instruction {now}") from None

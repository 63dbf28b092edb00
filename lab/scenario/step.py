"""Verbs that hold other steps.

And the step itself: one verb with its arguments, optionally a name and a time limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from lab.scenario import steps_fs as fs
from lab.scenario import steps_io as io
from lab.scenario import steps_load as load
from lab.scenario import steps_machine as machine
from lab.scenario import steps_measure as speed
from lab.scenario import steps_power as power
from lab.scenario import steps_probe as probe
from lab.scenario import steps_snapshot as snap
from lab.scenario.values import ErrnoNames, Model, Seconds


class ExpectError(Model):
    """Do a step that must fail, with one of these errors."""

    errno: ErrnoNames = Field(description="Errors allowed, e.g. ENOSPC.")
    step: Step = Field(description="The step.")


class Repeat(Model):
    """Do steps several times; random ranges differ from round to round."""

    times: int | None = Field(None, ge=1, le=100_000, description="How often.")
    seconds: Seconds | None = Field(
        None, description="Begin rounds for so long, in place of a number of times."
    )
    steps: tuple[Step, ...] = Field(min_length=1, description="The steps.")
    slowdown: float | None = Field(
        None,
        gt=1,
        description="The last third of the rounds may take so many times as long as the first "
        "third, by the fastest round of each; 20 rounds or more.",
    )

    @model_validator(mode="after")
    def _how_often(self) -> Repeat:
        if (self.times is None) == (self.seconds is None):
            raise ValueError("give `times` or `seconds`")
        if self.slowdown is not None and (self.times or 0) < 20:
            raise ValueError("`slowdown` compares many rounds: `times` of 20 or more")
        return self


class PowerCut(Model):
    """Cut the power: the machine stops at once.

    Of disks with a log, what had not been flushed is then lost or not, by a seed; other disks lose
    nothing. What had been acknowledged as safe must be there. Of an ext4 file system that
    `mkfs` made on such a disk, with a journal whose commits can be judged, a copy is checked: fsck
    after the replay of the journal, and all files that `write_files` had fsync'd. `boot` comes
    next.
    """

    during: Step | None = Field(None, description="Cut while this step is done.")
    after_ms: tuple[float, float] = Field(
        (0.0, 100.0),
        description="Milliseconds from the begin of that step, by the seed; earlier, within the"
        " time that the same step took before in this scenario, if that was shorter.",
    )
    inside: Literal["required", "counted"] = Field(
        "required",
        description="Whether one cut at least of a repeat's must come while that step is under"
        " way, or the scenario fails; or whether those that do are only counted in the report.",
    )
    seed: int = Field(
        1, description="Another seed, other moments and losses. In a repeat each round differs."
    )

    @model_validator(mode="after")
    def _moments(self) -> PowerCut:
        if not 0 <= self.after_ms[0] <= self.after_ms[1] <= 60_000:
            raise ValueError("`after_ms` is [low, high], 0 to 60000")
        return self


class Starve(Model):
    """Do a step again and again; each time the next allocation of memory that its command makes in
    the kernel fails, until it makes no more. It must succeed, or fail with ENOMEM.

    Needs a debug kernel. What the step tries, and what it undoes when it fails, is the module's.
    """

    step: Step = Field(
        description="The step: a verb that gives the module a command, a write, or read_image."
    )
    prepare: tuple[Step, ...] = Field(
        (), description="What is done before the first time, and again after each `undo`."
    )
    undo: tuple[Step, ...] = Field((), description="What takes back a step that succeeded.")
    least: int = Field(1, ge=1, description="So many allocations must have failed by the end.")


class Step(Model):
    """One verb with its arguments."""

    name: str | None = Field(None, max_length=100, description="What the report calls it.")
    timeout: Seconds | None = Field(None, description="Its limit; `step_timeout` if left out.")
    at_least: Seconds | None = Field(None, description="Seconds it must take, or it fails.")

    write: io.Write | None = None
    kill_writers: io.KillWriters | None = None
    zero: io.Zero | None = None
    discard: io.Discard | None = None
    secure_erase: io.SecureErase | None = None
    read: io.Read | None = None
    read_image: io.ReadImage | None = None
    write_image: io.WriteImage | None = None
    digest: io.Digest | None = None

    mkfs: fs.Mkfs | None = None
    mount: fs.Mount | None = None
    umount: fs.Umount | None = None
    fsfreeze: fs.Fsfreeze | None = None
    thaw: fs.Thaw | None = None
    write_files: fs.WriteFiles | None = None
    check_files: fs.CheckFiles | None = None
    fsck: fs.Fsck | None = None
    exec: fs.Exec | None = None

    create: snap.Create | None = None
    append_storage: snap.AppendStorage | None = None
    take: snap.Take | None = None
    destroy: snap.Destroy | None = None
    check_snapshots: snap.CheckSnapshots | None = None
    check_images: snap.CheckImages | None = None
    wait_event: snap.WaitEvent | None = None
    check_overflow: snap.CheckOverflow | None = None
    read_cbt: snap.ReadCbt | None = None
    mark_dirty: snap.MarkDirty | None = None
    check_tracker: snap.CheckTracker | None = None
    tracker_remove: snap.TrackerRemove | None = None
    backup: snap.Backup | None = None
    check_backup: snap.CheckBackup | None = None

    start_load: load.StartLoad | None = None
    wait_load: load.WaitLoad | None = None
    stop_load: load.StopLoad | None = None
    check_order: fs.CheckOrder | None = None

    module_load: machine.ModuleLoad | None = None
    module_unload: machine.ModuleUnload | None = None
    set_parameters: machine.SetParameters | None = None
    inject: machine.Inject | None = None
    ioctl: machine.Ioctl | None = None
    mark_memory: machine.MarkMemory | None = None
    check_memory: machine.CheckMemory | None = None
    add_device: machine.AddDevice | None = None
    remove_device: machine.RemoveDevice | None = None
    assemble: machine.Assemble | None = None
    resize: machine.Resize | None = None
    throttle: machine.Throttle | None = None
    unplug: machine.Unplug | None = None
    plug: machine.Plug | None = None
    power_cut: PowerCut | None = None
    boot: machine.Boot | None = None
    reboot: machine.Reboot | None = None

    fsync: power.Fsync | None = None
    check_log: power.CheckLog | None = None
    check_journal: power.CheckJournal | None = None
    compare_logs: power.CompareLogs | None = None
    crash_states: power.CrashStates | None = None
    client: probe.Client | None = None
    fuzz: probe.Fuzz | None = None
    second_filter: probe.SecondFilter | None = None
    measure: speed.Measure | None = None

    expect_error: ExpectError | None = None
    repeat: Repeat | None = None
    starve: Starve | None = None

    @model_validator(mode="before")
    @classmethod
    def _bare_verbs(cls, data: Any) -> Any:
        """`- take:` is `- take: {}`."""
        if isinstance(data, dict):
            return {k: {} if v is None and k in VERBS else v for k, v in data.items()}
        return data

    @model_validator(mode="after")
    def _exactly_one_verb(self) -> Step:
        given = [verb for verb in VERBS if getattr(self, verb) is not None]
        if len(given) != 1:
            raise ValueError(
                f"a step has exactly one verb, here: {given or 'none'}"
                if len(given) > 1
                else "a step needs a verb, e.g. write, create, take, read_image"
            )
        return self

    @property
    def verb(self) -> str:
        """Name of the verb, e.g. "write"."""
        return next(verb for verb in VERBS if getattr(self, verb) is not None)

    @property
    def action(self) -> Action:
        """The verb's arguments."""
        found: Action = getattr(self, self.verb)
        return found

    @property
    def title(self) -> str:
        """The step's name, or its verb."""
        return self.name or self.verb


NESTING = frozenset({"expect_error", "power_cut", "repeat", "starve"})
"""Verbs that hold other steps."""
STARVED: Mapping[str, str] = {
    "append_storage": "append_storage",
    "check_images": "collect_images",
    "check_snapshots": "snapshot_collect",
    "check_tracker": "tracker_collect",
    "create": "snapshot_create",
    "destroy": "snapshot_destroy",
    "mark_dirty": "mark_dirty",
    "read_cbt": "read_cbt",
    "read_image": "scan",
    "take": "snapshot_take",
    "tracker_remove": "tracker_remove",
    "write": "write",
    "write_image": "write",
}
"""Verbs that can be starved, each with the agent's operation of which an allocation fails: one
command of the module, a write, or a read of an image."""
NO_VERBS = frozenset({"name", "timeout", "at_least"})
"""Keys of a step besides its verb."""
VERBS: tuple[str, ...] = tuple(n for n in Step.model_fields if n not in NO_VERBS)
"""All verbs, in the order the documentation shows them."""

Action = (
    io.Write
    | io.KillWriters
    | io.Zero
    | io.Discard
    | io.SecureErase
    | io.Read
    | io.ReadImage
    | io.WriteImage
    | io.Digest
    | fs.Mkfs
    | fs.Mount
    | fs.Umount
    | fs.Fsfreeze
    | fs.Thaw
    | fs.WriteFiles
    | fs.CheckFiles
    | fs.Fsck
    | fs.Exec
    | fs.CheckOrder
    | snap.Create
    | snap.AppendStorage
    | snap.Take
    | snap.Destroy
    | snap.CheckSnapshots
    | snap.CheckImages
    | snap.WaitEvent
    | snap.CheckOverflow
    | snap.ReadCbt
    | snap.MarkDirty
    | snap.CheckTracker
    | snap.TrackerRemove
    | snap.Backup
    | snap.CheckBackup
    | load.StartLoad
    | load.WaitLoad
    | load.StopLoad
    | machine.ModuleLoad
    | machine.ModuleUnload
    | machine.SetParameters
    | machine.Inject
    | machine.Ioctl
    | machine.MarkMemory
    | machine.CheckMemory
    | machine.AddDevice
    | machine.RemoveDevice
    | machine.Assemble
    | machine.Resize
    | machine.Throttle
    | machine.Unplug
    | machine.Plug
    | PowerCut
    | power.Fsync
    | power.CheckLog
    | power.CheckJournal
    | power.CompareLogs
    | power.CrashStates
    | machine.Boot
    | machine.Reboot
    | probe.Client
    | probe.Fuzz
    | probe.SecondFilter
    | speed.Measure
    | ExpectError
    | Repeat
    | Starve
)
"""The arguments of any verb."""

ExpectError.model_rebuild()
PowerCut.model_rebuild()
Repeat.model_rebuild()
Starve.model_rebuild()
Step.model_rebuild()

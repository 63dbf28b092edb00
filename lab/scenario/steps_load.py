"""Verbs for activities that go on in the background of other steps."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field, model_validator

from lab.scenario.steps_io import WriteHow
from lab.scenario.values import GuestPath, Model, Name, Range, Size


class Writers(Model):
    """Workers that write stamps without end; each write's time is noted for the model."""

    device: Name = Field(description="What they write to.")
    snapshot: Name | None = Field(None, description="Its image in this snapshot; else itself.")
    workers: int = Field(2, ge=1, le=64, description="How many.")
    sizes: tuple[Size, Size] = Field(
        ("512B", "64KiB"), validate_default=True, description="Smallest and largest write."
    )
    within: Range | None = Field(None, description="Only there; the whole device if left out.")
    how: WriteHow = Field(WriteHow.DIRECT, description="By which road.")
    seed: int = Field(1, description="Another seed, other writes.")
    rate: int | None = Field(None, ge=1, description="Most writes per second, all workers.")
    boundary: Size | None = Field(
        None, description="Every other write begins just below a multiple of this."
    )
    max_latency_ms: int | None = Field(
        None, ge=1, description="No write may take longer (with patience)."
    )


class Ring(Model):
    """A counter written to each device in turn, each write only after the one before completed."""

    devices: tuple[Name, ...] = Field(min_length=2, description="The ring, in order.")
    within: Range = Field(
        Range(at=0, size=4096), description="Where on each device the counter is written."
    )
    how: WriteHow = Field(WriteHow.DSYNC, description="By which road.")


class FileRing(Model):
    """A counter written and fsync'd to each file in turn."""

    files: tuple[GuestPath, ...] = Field(min_length=2, description="The ring, in order.")


class ReadersExpect(StrEnum):
    """What background readers must see."""

    VALID = "valid"
    VALID_OR_EIO = "valid_or_eio"
    VALID_THEN_EIO = "valid_then_eio"
    VALID_THEN_GONE = "valid_then_gone"


class Readers(Model):
    """Workers that read a device or an image at random; each sector must hold a whole stamp."""

    device: Name = Field(description="The device.")
    snapshot: Name | None = Field(None, description="Its image in this snapshot; else itself.")
    workers: int = Field(2, ge=1, le=64, description="How many.")
    size: Size = Field("64KiB", validate_default=True, description="Length of a read.")
    direct: bool = Field(True, description="Past the page cache.")
    expect: ReadersExpect = Field(
        ReadersExpect.VALID,
        description="valid: no read fails. valid_or_eio: some do, with EIO. "
        "valid_then_eio: one does, and from then on all fail. "
        "valid_then_gone: the same, and in the end there is nothing more to read.",
    )
    only_old: bool = Field(
        False,
        description="No sector may hold a write that came after the start of this load; in an "
        "image none that came after the take, but of loads that write into it already.",
    )
    max_latency_ms: int | None = Field(
        None, ge=1, description="No read may take longer (with patience)."
    )
    seed: int = Field(1, description="Another seed, other places.")


class Answer(Model):
    """A helper that answers each low-space event by appending what it asks for."""

    snapshot: Name = Field("s", description="The snapshot.")
    device: Name | None = Field(None, description="Portions are cut from this device, in order.")
    start: Size = Field(0, description="Where on that device the first portion begins.")
    folder: GuestPath | None = Field(None, description="Portions are files made in this folder.")
    delay_ms: int = Field(0, ge=0, le=60_000, description="Milliseconds between event and append.")

    @model_validator(mode="after")
    def _from_somewhere(self) -> Answer:
        if (self.device is None) == (self.folder is None):
            raise ValueError("give `device` or `folder`")
        return self


class TakeCycle(Model):
    """Create a snapshot, give it storage, take it, hold it and destroy it, over and over."""

    devices: tuple[Name, ...] = Field(min_length=1, description="Originals, in this order.")
    storage: Name = Field(description="The device that the storage lies on.")
    within: Range = Field(description="Where on it; each round gives it anew.")
    hold_ms: int = Field(0, ge=0, le=60_000, description="Milliseconds a snapshot is held.")


class Freeze(Model):
    """Freeze a mounted file system, hold it frozen, thaw it, over and over."""

    at: GuestPath = Field(description="Where it is mounted.")
    hold_ms: int = Field(10, ge=0, le=10_000, description="Milliseconds it is frozen.")
    pause_ms: int = Field(10, ge=0, le=10_000, description="Milliseconds it is not.")


class Collect(Model):
    """Ask for all trackers and CBT maps, and for all snapshots and images, over and over.

    No map may be longer, or have a higher number, than its tracker says.
    """

    workers: int = Field(2, ge=1, le=16, description="How many ask for each of the two.")


class Memory(Model):
    """Look all the time at the memory that the module accounts for (K35)."""

    growth: Size = Field(description="Most bytes it may hold more than at the start, ever.")


LoadKind = Writers | Ring | FileRing | Readers | Answer | TakeCycle | Freeze | Collect | Memory


class StartLoad(Model):
    """Start an activity that goes on until stop_load."""

    name: Name = Field(description="Its name.")
    writers: Writers | None = Field(None, description="Write stamps.")
    ring: Ring | None = Field(None, description="Counters in a ring of devices.")
    file_ring: FileRing | None = Field(None, description="Counters in a ring of files.")
    readers: Readers | None = Field(None, description="Read at random.")
    answer: Answer | None = Field(None, description="Answer low-space events.")
    take_cycle: TakeCycle | None = Field(None, description="Take and destroy snapshots.")
    freeze: Freeze | None = Field(None, description="Freeze and thaw a file system.")
    collect: Collect | None = Field(None, description="Ask the module for everything.")
    memory: Memory | None = Field(None, description="Watch the module's memory.")

    @model_validator(mode="after")
    def _exactly_one(self) -> StartLoad:
        kinds = [name for name in type(self).model_fields if name != "name"]
        given = [name for name in kinds if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(kinds)}; here: {given}")
        return self

    @property
    def kind(self) -> str:
        """The name of its kind, e.g. "writers"."""
        fields = type(self).model_fields
        return next(n for n in fields if n != "name" and getattr(self, n) is not None)

    @property
    def load(self) -> LoadKind:
        """What its kind says."""
        found: LoadKind = getattr(self, self.kind)
        return found


class WaitLoad(Model):
    """Go on only when a load has done so much (writes, rounds, reads, looks, answers)."""

    load: Name = Field(description="The load.")
    operations: int = Field(ge=1, description="How many, counted from `since`.")
    since: Literal["now", "start"] = Field(
        "now", description="start: those that the load has done before this step count too."
    )


TIMED = ("writers", "readers", "answer")
"""Loads whose report tells how long the slowest operation took."""


class StopLoad(Model):
    """Stop a load, judge what it reports and tell the model of it."""

    load: Name = Field(description="The load.")
    events_as_model: bool = Field(
        False, description="answer: the number of low-space events must be the predicted one (K19)."
    )
    report: str | None = Field(
        None,
        description="writers, readers, answer: report under this label how many milliseconds the "
        "slowest one took; an answer from its event on.",
    )

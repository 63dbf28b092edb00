"""Verbs for snapshots, their storage and their events, and for the CBT map."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, model_validator

from lab.scenario.values import ErrnoName, GuestPath, Model, Name, Range, Size


class OfSnapshot(Model):
    """A verb about one snapshot."""

    snapshot: Name = Field("s", description="The snapshot.")


class Create(OfSnapshot):
    """Create a snapshot of devices; tracking of each begins, if it had not."""

    devices: tuple[Name, ...] = Field(description="Originals, in this order.")


class PieceOrder(StrEnum):
    """In which order pieces are given to the module."""

    ASCENDING = "ascending"
    INTERLEAVED = "interleaved"
    FRAGMENTED = "fragmented"


class Pieces(Model):
    """Cut space into pieces of odd sizes: from the start of each device, gaps in between."""

    devices: tuple[Name, ...] = Field(min_length=1, description="Where the space lies.")
    total: Size = Field(description="Sum of all pieces; a multiple of 4KiB.")
    count: int = Field(ge=1, le=100_000, description="How many pieces.")
    order: PieceOrder = Field(
        PieceOrder.FRAGMENTED,
        description="ascending: device after device. interleaved: one of each device in turn. "
        "fragmented: shuffled.",
    )
    batch: int = Field(64, ge=1, description="Most pieces given in one call (per device).")
    seed: int = Field(1, description="Another seed, other pieces.")


class StorageFile(Model):
    """A preallocated file; its extents are the storage."""

    path: GuestPath = Field(
        description="On a mounted file system; made if it is not there and has a `size`."
    )
    size: Size | None = Field(None, description="Preallocated size; as it is if left out.")


class AppendStorage(OfSnapshot):
    """Give difference storage: a whole device, ranges of it, pieces of several, or a file."""

    device: Name | None = Field(None, description="The whole device, or `ranges` of it.")
    ranges: tuple[Range, ...] | None = Field(None, description="Ranges of `device`, in this order.")
    pieces: Pieces | None = Field(None, description="Many pieces of several devices.")
    file: StorageFile | None = Field(None, description="A file on a mounted file system.")

    @model_validator(mode="after")
    def _one_way(self) -> AppendStorage:
        if sum(part is not None for part in (self.device, self.pieces, self.file)) != 1:
            raise ValueError("give one of: device (with ranges or whole), pieces, file")
        if self.ranges is not None and self.device is None:
            raise ValueError("`ranges` needs `device`")
        return self


class Take(OfSnapshot):
    """Take the snapshot: all its devices switch at one instant; images appear.

    Afterwards generation and number of every tracker are compared with the model.
    """

    callers: int = Field(
        1,
        ge=1,
        le=16,
        description="So many take it at the same time; one succeeds, the others get EALREADY.",
    )
    tries: int = Field(
        1,
        ge=1,
        le=1000,
        description="So often it may fail with EBUSY, as somebody else holds a file system frozen, "
        "but for the last time.",
    )


class Destroy(OfSnapshot):
    """Destroy the snapshot, after comparing its images and maps with the model in full."""

    compare: bool = Field(True, description="Whether images and maps are compared first.")
    within: float = Field(10.0, gt=0, description="Seconds it may take.")
    waiters: int = Field(
        0,
        ge=0,
        le=16,
        description="So many wait for an event meanwhile; they are woken with ESRCH at once.",
    )


class CheckSnapshots(Model):
    """The module lists exactly these snapshots."""

    snapshots: tuple[Name, ...] = Field(description="All there must be.")


class CheckImages(OfSnapshot):
    """The module lists one image for each device, in the order given to create."""


class EventKind(StrEnum):
    """Events of a snapshot."""

    LOW_SPACE = "low_space"
    CORRUPTED = "corrupted"
    NONE = "none"


class WaitEvent(OfSnapshot):
    """Take the next event of the snapshot; it must be the one expected."""

    expect: EventKind = Field(description="`none`: no event comes within the time.")
    within_ms: int = Field(5000, ge=0, le=600_000, description="Milliseconds to wait.")
    errno: ErrnoName | None = Field(None, description="Of a corrupted event, e.g. ENOSPC.")
    device: Name | None = Field(None, description="The original a corrupted event names.")
    portion: Size | None = Field(None, description="Space a low_space event asks for.")
    skip: tuple[EventKind, ...] = Field((), description="Events passed over if they come first.")
    on_time: bool = Field(
        False,
        description="expect: none takes its milliseconds: never less, and, of some tries, once "
        "at most a fifth more (K25).",
    )

    @model_validator(mode="after")
    def _fields_fit(self) -> WaitEvent:
        if self.expect is not EventKind.CORRUPTED and (self.errno or self.device):
            raise ValueError("`errno` and `device` belong to expect: corrupted")
        if self.expect is not EventKind.LOW_SPACE and self.portion is not None:
            raise ValueError("`portion` belongs to expect: low_space")
        if self.expect is not EventKind.NONE and self.on_time:
            raise ValueError("`on_time` belongs to expect: none")
        return self


class OverflowExpect(StrEnum):
    """How a snapshot may have fared."""

    NEVER = "never"
    JUSTIFIED = "justified"


class CheckOverflow(OfSnapshot):
    """Judge whether the snapshot may be spoiled, from the space given and the chunks written."""

    expect: OverflowExpect = Field(
        OverflowExpect.NEVER,
        description="never: it is not spoiled. justified: it is not spoiled, or it was when "
        "the chunks written did not fit into the space appended by then.",
    )


class ReadCbt(Model):
    """Read the CBT map of a device, or a part of it, and compare every byte with the model.

    A part that runs over the end of the map must be cut off there.
    """

    device: Name = Field(description="The original.")
    offset: int = Field(0, ge=0, lt=2**32, description="First block.")
    length: int | None = Field(None, ge=0, lt=2**32, description="Blocks; all if left out.")
    changed_since: int | None = Field(None, ge=0, le=255, description="Count bytes above this.")
    changed: tuple[int, int] | None = Field(None, description="Fewest and most of those blocks.")
    report: str | None = Field(None, description="Report that count under this label.")

    @model_validator(mode="after")
    def _counts(self) -> ReadCbt:
        if (self.changed or self.report) and self.changed_since is None:
            raise ValueError("`changed` and `report` need `changed_since`")
        if self.offset and self.length is None:
            raise ValueError("`offset` needs `length`")
        return self


class MarkDirty(Model):
    """Mark ranges as changed in both maps of a device."""

    device: Name = Field(description="The original.")
    snapshot: Name | None = Field(None, description="Through its image in this snapshot.")
    ranges: tuple[Range, ...] = Field(description="What is marked; blocks it touches count.")


class GenerationExpect(StrEnum):
    """How a tracker's generation compares with what was seen before."""

    SAME = "same"
    NEW = "new"


class CheckTracker(Model):
    """Ask for the trackers and compare one (or that there is none) with the model."""

    device: Name = Field(description="The original.")
    tracked: bool = Field(
        True, description="false: there must be no tracker; of a device that is gone, but zeros."
    )
    generation: GenerationExpect | None = Field(
        None,
        description="same: as after the last take or check_tracker. new: no earlier check_tracker "
        "saw it.",
    )
    number: int | None = Field(None, ge=0, le=255, description="Number of the last take.")
    block_size: Size | None = Field(None, description="Bytes one byte of the map stands for.")
    block_count: int | None = Field(None, description="Bytes of the map.")


class TrackerRemove(Model):
    """Stop tracking a device."""

    device: Name = Field(description="The original.")


class BackupMode(StrEnum):
    """Which blocks a backup copies."""

    FULL = "full"
    INCREMENT = "increment"
    DIFFERENTIAL = "differential"


class Backup(OfSnapshot):
    """Copy from the image to a backup device what the CBT map says, then compare the two.

    increment: since the number the backup has (a full copy if it has none or the generation
    is another one). differential: since number `since` of the same generation.
    """

    device: Name = Field(description="The original.")
    to: Name = Field(description="The device that holds the backup; as large as the original.")
    mode: BackupMode = Field(BackupMode.INCREMENT, description="What is copied.")
    since: int | None = Field(None, ge=0, le=255, description="For differential.")
    check: bool = Field(True, description="Compare backup, image and model in full afterwards.")
    max_copied: Size | None = Field(None, description="Copying more than this is a failure.")

    @model_validator(mode="after")
    def _since(self) -> Backup:
        if (self.mode is BackupMode.DIFFERENTIAL) != (self.since is not None):
            raise ValueError("`since` and mode: differential belong together")
        return self


class CheckBackup(OfSnapshot):
    """Compare a backup with the image and the model, every byte."""

    device: Name = Field(description="The original.")
    to: Name = Field(description="The device that holds the backup.")

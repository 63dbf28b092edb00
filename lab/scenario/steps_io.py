"""Verbs that read and write devices."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, model_validator

from lab.scenario.values import Model, Name, Range, Size


class WriteHow(StrEnum):
    """By which road a write reaches the device."""

    DIRECT = "direct"
    BUFFERED = "buffered"
    WRITTEN_BACK = "written_back"
    DSYNC = "dsync"
    MMAP = "mmap"
    IO_URING = "io_uring"
    IO_URING_DSYNC = "io_uring_dsync"
    NOWAIT = "nowait"
    IO_URING_NOWAIT = "io_uring_nowait"
    IO_URING_POLLED = "io_uring_polled"


DSYNCS = frozenset({WriteHow.DSYNC, WriteHow.IO_URING_DSYNC})
"""Roads on which a write is safe when it is acknowledged."""

CACHED = frozenset({WriteHow.BUFFERED, WriteHow.WRITTEN_BACK, WriteHow.MMAP})
"""Roads through the page cache, where `fsync` has a meaning."""

NOWAITS = frozenset({WriteHow.NOWAIT, WriteHow.IO_URING_NOWAIT})
"""Roads on which a write that would have to wait gets EAGAIN."""


class RandomRanges(Model):
    """Ranges drawn from a seed: the same at every run, none overlapping another."""

    count: int = Field(
        ge=1,
        le=1_000_000,
        description="How many; each that finds no free place after some tries is left out, so there"
        " may be fewer where little is left free.",
    )
    sizes: tuple[Size, Size] = Field(
        ("4KiB", "64KiB"),
        validate_default=True,
        description="Smallest and largest; `count` of the smallest must fit.",
    )
    align: Size = Field(
        "512B",
        validate_default=True,
        description="Starts, from that of `within`, and sizes are multiples of this.",
    )
    seed: int = Field(1, description="Another seed, other ranges. In a repeat each round differs.")
    within: Range | None = Field(None, description="Only there; the whole device if left out.")


class Placed(Model):
    """Where on a device: `at` and `size`, a list of `ranges`, or `random` ones; else all of it."""

    device: Name = Field(description="A disk or device of this scenario.")
    at: Size = Field(0, description="Where it begins.")
    size: Size | None = Field(None, description="How long; to the end if left out.")
    ranges: tuple[Range, ...] | None = Field(
        None, min_length=1, description="Several places, in this order."
    )
    random: RandomRanges | None = Field(None, description="Places drawn from a seed.")

    @model_validator(mode="after")
    def _one_way(self) -> Placed:
        plain = "at" in self.model_fields_set or self.size is not None
        if sum((plain, self.ranges is not None, self.random is not None)) > 1:
            raise ValueError("give one of: at/size, ranges, random")
        return self


class Write(Placed):
    """Write stamps: every sector says which write of which device it came from."""

    how: WriteHow = Field(WriteHow.DIRECT, description="By which road.")
    chunk: Size = Field(
        "1MiB", validate_default=True, description="Longest single write; longer ones are cut."
    )
    queue_depth: int = Field(1, ge=1, le=256, description="Writes in flight (io_uring).")
    fsync: bool = Field(True, description="End with fsync (buffered, written_back, mmap).")
    refused: tuple[int, int] | None = Field(
        None,
        description="nowait: fewest and most writes that get EAGAIN; nothing of them may be done.",
    )

    @model_validator(mode="after")
    def _only_nowait(self) -> Write:
        if self.refused is not None and self.how not in NOWAITS:
            raise ValueError("`refused` belongs to how: nowait or io_uring_nowait")
        return self


class KillWriters(Placed):
    """Processes of their own write stamps, one each, and are killed while they wait."""

    after_ms: int = Field(300, ge=0, le=60_000, description="Milliseconds till they are killed.")
    at_least: int = Field(1, ge=1, description="So many must still be waiting then.")


class WriteImage(Write):
    """Write stamps into the image of a device; they live only in the snapshot."""

    snapshot: Name = Field("s", description="The snapshot.")

    @model_validator(mode="after")
    def _nothing_refused(self) -> WriteImage:
        if self.refused is not None:
            raise ValueError("`refused` is for writes to originals")
        return self


class Zero(Placed):
    """Zero a range without data going over the bus (BLKZEROOUT)."""


class Discard(Placed):
    """Discard a range (BLKDISCARD); what it reads as afterwards is left to the disk."""


class SecureErase(Placed):
    """Erase a range so that it cannot be recovered (BLKSECDISCARD)."""


class Read(Placed):
    """Read an original and compare every sector with the model."""

    direct: bool = Field(True, description="Past the page cache.")


class ImageExpect(StrEnum):
    """What reading an image must give."""

    MODEL = "model"
    EIO = "eio"
    MODEL_OR_EIO = "model_or_eio"


class ReadImage(Placed):
    """Read the image of a device and compare every sector with the model."""

    snapshot: Name = Field("s", description="The snapshot.")
    expect: ImageExpect = Field(
        ImageExpect.MODEL,
        description="model: all as at the take. eio: every block refuses with EIO. "
        "model_or_eio: each block is right or refuses.",
    )
    direct: bool = Field(True, description="Past the page cache.")


class Digest(Placed):
    """Fingerprint blocks, for devices whose content no model knows (file systems).

    Blocks that hold difference storage are left out, as its place shows whatever is there now.
    """

    snapshot: Name | None = Field(None, description="Of the image in this snapshot; else original.")
    save: Name | None = Field(None, description="Keep the fingerprints under this name.")
    same_as: Name | None = Field(None, description="They must equal the ones kept as this.")
    block: Size = Field("4KiB", validate_default=True, description="Length of a block.")

    @model_validator(mode="after")
    def _has_a_use(self) -> Digest:
        if self.save is None and self.same_as is None:
            raise ValueError("give `save`, `same_as` or both")
        return self

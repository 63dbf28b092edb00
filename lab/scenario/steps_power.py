"""Verbs about what reaches a disk, and what is left of it when the power fails.

They are about disks declared with `log: true`. How crash states are made: lab/crash/states.py.
"""

from __future__ import annotations

from pydantic import Field, model_validator

from lab.scenario.values import Model, Name


class Fsync(Model):
    """fsync a device: all that was written to it is safe."""

    device: Name = Field(description="The device.")


class CheckLog(Model):
    """Judge all that reached a disk of stamps.

    Writes to a sector must come in the order in which they were issued, and what was acknowledged
    as safe (dsync, fsync) must be safe before anything that was issued later.
    """

    device: Name = Field(description="A disk with a log.")
    writes: int = Field(1, ge=1, description="So many writes at least must be in it.")


class CheckJournal(Model):
    """Judge all that reached a disk of an ext4 file system: each commit record of the journal must
    come after a flush of what it commits.

    Not with fast or asynchronous commits, which are ordered otherwise, and not with `nobarrier`.
    """

    device: Name = Field(description="A disk with a log, since its mkfs.")
    commits: int = Field(1, ge=1, description="So many commits at least must be in it.")


class CompareLogs(Model):
    """Compare two disks to which the same was written: a power cut must leave the same states.

    That is so if between the same two flushes the same writes to the same sectors are pending. Of
    two writes to different sectors between two flushes it does not matter which came first. Of two
    ext4 file systems with the same files of `write_files` compared is which blocks of those files
    are pending between two flushes, and whether a commit record of the journal is among them; the
    rest depends on the time and on what identifies a file system. Mount both with a long `commit`,
    and make both with `lazy_itable_init=0`, or the kernel flushes when it likes.
    """

    device: Name = Field(description="The disk that the module filtered.")
    like: Name = Field(description="The disk that it did not.")


class CrashStates(Model):
    """Build what a power cut could have left of an ext4 file system, and check each such state.

    One at every flush, where nothing is lost, and some that lose writes: with a subset of those
    between two flushes. Checked are: fsck after the replay of the journal, and all files that
    `write_files` had fsync'd by then.
    """

    device: Name = Field(description="A disk with a log, since its mkfs.")
    subsets: int = Field(2, ge=1, le=100, description="Subsets between each two flushes.")
    limit: int = Field(
        60,
        ge=1,
        le=10_000,
        description="Most subsets; if there are more, so many are drawn. The states at flushes are"
        " all checked, and do not count.",
    )
    least: int = Field(1, ge=1, description="Fewest subsets.")
    seed: int = Field(1, description="Another seed, other subsets.")

    @model_validator(mode="after")
    def _possible(self) -> CrashStates:
        if self.least > self.limit:
            raise ValueError(f"`least` is {self.least} subsets, `limit` only {self.limit}")
        return self

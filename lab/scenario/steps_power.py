"""Verbs about what reaches a disk, and what is left of it when the power fails.

They are about disks declared with `log: true`. How crash states are made: lab/crash/states.py.
"""

from __future__ import annotations

from pydantic import Field

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


class CompareLogs(Model):
    """Compare two disks to which the same was written: a power cut must leave the same states.

    That is so if between the same two flushes the same writes to the same sectors are pending. Of
    two writes to different sectors between two flushes it does not matter which came first.
    """

    device: Name = Field(description="The disk that the module filtered.")
    like: Name = Field(description="The disk that it did not.")


class CrashStates(Model):
    """Build what a power cut could have left of an ext4 file system, and check each such state.

    One at every flush, and some with a subset of the writes between two flushes. Checked are: fsck
    after the replay of the journal, and all files that `write_files` had fsync'd by then.
    """

    device: Name = Field(description="A disk with a log, since its mkfs.")
    subsets: int = Field(2, ge=0, le=100, description="Subsets between each two flushes.")
    limit: int = Field(
        60,
        ge=1,
        le=10_000,
        description="Most states; if there are more, subsets are drawn. Those at flushes are all"
        " checked, also if they alone are more.",
    )
    least: int = Field(1, ge=1, description="Fewest states.")
    seed: int = Field(1, description="Another seed, other subsets.")

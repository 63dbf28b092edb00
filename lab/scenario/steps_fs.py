"""Verbs for file systems, files and programs in the guest."""

from __future__ import annotations

from pydantic import Field, model_validator

from lab.scenario.values import Filesystem, GuestPath, Model, Name, Size


class DeviceOrImage(Model):
    """A verb about a device, or about its image in a snapshot."""

    device: Name = Field(description="The device.")
    snapshot: Name | None = Field(None, description="Its image in this snapshot; else itself.")


class Mkfs(Model):
    """Make a file system; from then on the model does not know what the device holds."""

    device: Name = Field(description="The device.")
    fs: Filesystem = Field(Filesystem.EXT4, description="Which file system.")
    options: tuple[str, ...] = Field((), description="Further arguments of mkfs.")


class Mount(DeviceOrImage):
    """Mount a device or an image."""

    at: GuestPath = Field(description="Where; the folder is made.")
    fs: Filesystem | None = Field(None, description="Its type; found out if left out.")
    options: tuple[str, ...] = Field((), description="Mount options, e.g. ro, noatime.")


class Umount(Model):
    """Unmount."""

    at: GuestPath = Field(description="Where it is mounted.")


class Fsfreeze(Model):
    """Freeze a mounted file system from user space."""

    at: GuestPath = Field(description="Where it is mounted.")


class Thaw(Model):
    """Thaw a file system that fsfreeze froze."""

    at: GuestPath = Field(description="Where it is mounted.")


class WriteFiles(Model):
    """Write files whose content follows from name and seed, then sync them."""

    at: GuestPath = Field(description="Folder; made if it is not there.")
    count: int = Field(1, ge=1, le=100_000, description="How many files.")
    size: Size = Field("64KiB", validate_default=True, description="Size of each.")
    seed: int = Field(1, description="Another seed, other content.")
    fsync: bool = Field(True, description="fsync each file; else one sync at the end.")


class CheckFiles(Model):
    """Read such files, at another place too (a mounted image), and compare their content."""

    at: GuestPath = Field(description="Folder.")
    count: int = Field(1, ge=1, le=100_000, description="How many files.")
    size: Size = Field("64KiB", validate_default=True, description="Size of each.")
    seed: int = Field(1, description="As given to write_files.")


class Fsck(DeviceOrImage):
    """Check a file system, changing nothing; any complaint is a failure."""

    fs: Filesystem = Field(Filesystem.EXT4, description="Its type.")


class Exec(Model):
    """Run a program in the guest. `{a}` stands for the path of device a, `{s/a}` for its image."""

    argv: tuple[str, ...] = Field(min_length=1, description="Program and arguments.")
    input: str | None = Field(None, description="Its standard input.")
    status: int | None = Field(0, description="Exit status it must have; null: any.")
    stdout_contains: str | None = Field(None, description="Text that its output must contain.")
    stderr_contains: str | None = Field(None, description="Text that its errors must contain.")
    changes: tuple[Name, ...] = Field(
        (), description="Devices it writes to; the model forgets what they hold."
    )


class CheckOrder(Model):
    """Ring rule: of counters written one after the other, none is ahead of the one before it.

    Of a `ring` load the counters are read from the images; of a `file_ring` from files.
    """

    load: Name = Field(description="The ring load; it may have been stopped since the take.")
    snapshot: Name | None = Field("s", description="Whose images are read (ring).")
    files: tuple[GuestPath, ...] | None = Field(None, description="Files in ring order.")

    @model_validator(mode="after")
    def _files_alone(self) -> CheckOrder:
        if self.files is not None and "snapshot" in self.model_fields_set:
            raise ValueError("give `snapshot` or `files`")
        return self

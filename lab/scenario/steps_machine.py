"""Verbs for the module, the machine and stacked devices."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, model_validator

from lab.scenario.devices import Device, ModuleParameters
from lab.scenario.values import Model, Name, Request, Seconds, Size

SAME_NUMBER = "It must get the number (major:minor) that it had before."


class ModuleLoad(Model):
    """Load the module (it is loaded before the first step)."""

    parameters: ModuleParameters | None = Field(
        None, description="Parameters; those of the scenario if left out."
    )


class ModuleUnload(Model):
    """Unload the module."""

    within: Seconds = Field(10.0, description="Seconds it may take.")


class SetParameters(Model):
    """Change parameters of the loaded module."""

    parameters: ModuleParameters = Field(description="New values.")


class Ioctl(Model):
    """A bare request to the control node, as no well-meant client makes it; it should fail.

    The model is told nothing: a request that succeeds must change nothing.
    """

    request: Request = Field(description="The request's value, e.g. 0x5401.")
    size: int = Field(4096, ge=8, le=65536, description="Bytes of the argument, zeros.")
    device: Name | None = Field(None, description="Its number stands in the first 8 bytes.")
    address: int | None = Field(
        None, ge=0, lt=2**64, description="A bad address in place of an argument."
    )
    user: int | None = Field(None, ge=0, description="Effective user of the caller; else root.")


class FaultPoint(StrEnum):
    """Places of the module that can be made to fail."""

    MAP_UPDATE = "map_update"
    WRITE_NEW = "write_new"
    TRACKER_NEW = "tracker_new"
    TRACKER_PREPARE = "tracker_prepare"
    AREA_NEW = "area_new"
    IMAGE_NEW = "image_new"
    FREEZE = "freeze"
    REGION_NEW = "region_new"
    BUFFER_GET = "buffer_get"
    BUFFER_LARGE = "buffer_large"
    ID_COPY = "id_copy"
    EVENT_COPY = "event_copy"


class Inject(Model):
    """Make the module fail at one of its points: some calls pass, then some fail.

    map_update loses the map of `device` at the next write to it, which must be the next write to
    anything tracked. A failure that has not happened by the end fails the scenario.
    """

    point: FaultPoint = Field(description="Where.")
    skip: int = Field(0, ge=0, description="Calls that pass first.")
    times: int = Field(1, ge=1, description="Calls that fail then.")
    device: Name | None = Field(None, description="map_update: whose map.")

    @model_validator(mode="after")
    def _whose_map(self) -> Inject:
        of_map = self.point is FaultPoint.MAP_UPDATE
        if of_map != (self.device is not None):
            raise ValueError("`device` belongs to point: map_update, and is needed there")
        if of_map and (self.skip, self.times) != (0, 1):
            raise ValueError("map_update is for the next update only: no `skip`, no `times`")
        return self


class MarkMemory(Model):
    """Remember how much memory the module holds (its own counters) and the guest uses."""

    name: Name = Field("before", description="Name of the mark.")


class CheckMemory(Model):
    """Compare memory with a mark."""

    since: Name = Field("before", description="Name of the mark.")
    growth: Size = Field(description="Most bytes the module may hold more than then.")
    settle: float = Field(
        0.0, ge=0, le=60, description="Seconds it has to give back what the kernel frees later."
    )
    report: str | None = Field(None, description="Report the growth under this label.")


class AddDevice(Model):
    """Build a stacked device now; one of `devices`, or a new one, as `make` says."""

    device: Name = Field(description="Name of the device.")
    make: Device | None = Field(None, description="How; as declared in `devices` if left out.")
    same_number: bool = Field(False, description=SAME_NUMBER)


class RemoveDevice(Model):
    """Take a stacked device down."""

    device: Name = Field(description="Name of the device.")


class Assemble(Model):
    """Build a second copy of a stripe, lvm or raid device from the images of its members.

    It must then hold what the device held when the snapshot was taken.
    """

    device: Name = Field(description="The declared device.")
    snapshot: Name = Field("s", description="Whose images.")
    name: Name = Field(description="Name of the copy, from now on a device.")
    without: tuple[Name, ...] = Field((), description="Members left out (raid).")


class Resize(Model):
    """Change the size of a disk, of a linear (by another table) or of a loop on a file.

    Of a file what is cut off is lost; below a linear it stays.
    """

    device: Name = Field(description="The disk or device.")
    size: Size = Field(description="New size.")


class Throttle(Model):
    """Let a disk do only so much from now on, below the guest (QEMU's throttling); all left out: no
    limit. A power cut, a reboot or unplugging ends it.
    """

    disk: Name = Field(description="The disk.")
    read: Size = Field(0, description="Bytes it reads in a second.")
    write: Size = Field(0, description="Bytes it writes in a second.")
    operations: int = Field(0, ge=0, description="Reads and writes it does in a second.")


class Unplug(Model):
    """Pull a disk out of the running machine."""

    disk: Name = Field(description="The disk.")


class Plug(Model):
    """Plug an unplugged disk in again, with what it held."""

    disk: Name = Field(description="The disk.")
    same_number: bool = Field(False, description=SAME_NUMBER)


class Boot(Model):
    """Boot after a power cut or a reboot; the module is loaded again."""

    saved: bool = Field(
        False,
        description="Go on as the guest that had just booted when it was saved, in a second. It "
        "has its disks as they are now, but nothing of what was written to its root.",
    )


class Reboot(Model):
    """Reboot in order: programs end, file systems are unmounted; the module is loaded again."""

    within: Seconds = Field(60.0, description="Seconds the shutdown may take.")


class Plain(Model):
    """Nothing to say."""

    @model_validator(mode="before")
    @classmethod
    def _nothing(cls, data: object) -> object:
        return {} if data is None else data

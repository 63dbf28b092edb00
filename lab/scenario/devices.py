"""What a scenario is run on: disks of the guest, devices stacked on them, module parameters."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field, WithJsonSchema, model_validator

from lab.scenario.values import GuestPath, Model, Name, Size
from lab.units import SECTOR

PARAMETER_BOUNDS: dict[str, tuple[int, int]] = {
    "tracking_block_minimum_shift": (9, 31),
    "tracking_block_maximum_shift": (9, 31),
    "tracking_block_maximum_count": (1, 2**31 - 1),
    "chunk_minimum_shift": (12, 30),
    "chunk_maximum_shift": (12, 30),
    "chunk_maximum_count": (1, 2**31 - 1),
    "chunk_maximum_in_cache": (1, 2**31 - 1),
    "free_diff_buffer_pool_size": (0, 2**31 - 1),
    "diff_storage_minimum": (1, 2**31 - 1),
}
"""The module's parameters and their ranges, those of the module's params.c (K9)."""

BlockSize = Literal[512, 4096, 16384, 65536]
"""Bytes; of the powers of two that QEMU can do, those that real disks have, and the largest."""

ModuleParameters = Annotated[
    dict[str, int],
    WithJsonSchema(
        {
            "type": "object",
            "properties": {
                name: {"type": "integer", "minimum": low, "maximum": high}
                for name, (low, high) in PARAMETER_BOUNDS.items()
            },
            "additionalProperties": False,
        }
    ),
]


class BadIo(Model):
    """I/O that fails below the guest, in QEMU (blkdebug); it gets an I/O error."""

    of: Literal["read", "write", "discard", "flush"] = Field(description="Which kind.")
    at: Size | None = Field(None, description="A sector that it must touch; any if left out.")
    once: bool = Field(False, description="Only the first such I/O, not all.")

    @model_validator(mode="after")
    def _somewhere(self) -> BadIo:
        if self.at is not None and (self.of == "flush" or self.at % SECTOR):
            raise ValueError("`at` is the start of a sector (512 bytes), and no matter of a flush")
        return self


class Disk(Model):
    """A virtio disk of the guest, sparse, full of zeros at the start."""

    size: Size = Field(description="Capacity; a whole number of logical blocks.")
    logical_block_size: BlockSize = Field(
        512, description="Smallest unit of I/O; more than 4096 only from kernel 6.15 on."
    )
    physical_block_size: BlockSize = Field(
        512, description="Unit the disk says it works in; not below the logical block size."
    )
    discard: bool = Field(True, description="Whether the disk accepts discards.")
    serial: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
        max_length=20,
        description="Serial number the guest sees; its name if left out.",
    )
    log: bool = Field(
        False,
        description="Log all that reaches it, for check_log, check_journal, compare_logs and "
        "crash_states; a power_cut then loses what the guest had not flushed, and one at least "
        "must find something to lose, or the scenario fails.",
    )
    errors: tuple[BadIo, ...] = Field((), description="I/Os of it that fail, below the guest.")

    @model_validator(mode="after")
    def _one_below(self) -> Disk:
        if self.log and self.errors:
            raise ValueError("`log` tells what reached the disk; with `errors` some of it did not")
        return self

    @model_validator(mode="before")
    @classmethod
    def _physical_follows_logical(cls, data: object) -> object:
        # A wrong one is told where it stands.
        if isinstance(data, dict) and data.get("logical_block_size") in get_args(BlockSize):
            return {"physical_block_size": data["logical_block_size"], **data}
        return data


class OnOne(Model):
    """A device that shows another one, sector for sector."""

    on: Name = Field(description="The device below.")


class Partition(OnOne):
    """A partition: a window on a disk, told to the kernel only; no table is written."""

    at: Size = Field("1MiB", validate_default=True, description="Where it begins on the disk.")
    size: Size = Field(description="How long it is.")


class Linear(OnOne):
    """dm-linear: a window on a device."""

    at: Size = Field(0, description="Where it begins on the device below.")
    size: Size | None = Field(None, description="How long it is; all the rest if left out.")


class Delay(OnOne):
    """dm-delay: the device below, but all of it, or one range, is slow."""

    at: Size = Field(0, description="Where the slow range begins.")
    size: Size | None = Field(None, description="How long it is; all the rest if left out.")
    read_ms: int = Field(0, ge=0, le=60_000, description="Milliseconds every read waits.")
    write_ms: int = Field(0, ge=0, le=60_000, description="Milliseconds every write waits.")


class Flakey(OnOne):
    """dm-flakey: the device below, failing for some seconds out of every so many."""

    up_s: int = Field(ge=0, description="Seconds it works.")
    down_s: int = Field(ge=0, description="Seconds it fails.")
    options: tuple[str, ...] = Field((), description="Features, e.g. error_writes, drop_writes.")


class ErrorZone(OnOne):
    """The device below, with one range on which every read and write fails (dm-error)."""

    at: Size = Field(description="Where the bad range begins.")
    size: Size = Field(description="How long it is.")


class Multipath(OnOne):
    """dm-multipath with one path, the device below: of requests, as that is."""


class NvmeTcp(OnOne):
    """An NVMe disk over TCP within the guest, whose one path is the device below.

    It is of NVMe's own multipath: of bios, which it splits itself, and submits anew when the path
    has failed. From kernel 5.18 on; before, the kernel warns of its own target.
    """


class Loop(Model):
    """A loop device, on a device or on a file of its own in the guest's memory."""

    on: Name | None = Field(None, description="The device below.")
    file: GuestPath | None = Field(None, description="A file, made sparse and of `size`.")
    size: Size | None = Field(None, description="Size of the file.")
    read_only: bool = Field(False, description="It refuses writes; its file may be exchanged.")

    @model_validator(mode="after")
    def _device_or_file(self) -> Loop:
        if (self.on is None) == (self.file is None):
            raise ValueError("give either `on` (a device) or `file` with `size`")
        if self.file is not None and self.size is None:
            raise ValueError("a loop on a file needs its `size`")
        return self


class Zram(Model):
    """A zram device: a disk in compressed memory."""

    size: Size = Field(description="Capacity.")


class Stripe(Model):
    """dm-stripe over several devices of one size."""

    over: tuple[Name, ...] = Field(min_length=2, description="The devices below, in order.")
    chunk: Size = Field("64KiB", validate_default=True, description="Length of a stripe.")


class Lvm(Model):
    """A striped logical volume over several devices (LVM: pvcreate, vgcreate, lvcreate)."""

    over: tuple[Name, ...] = Field(min_length=1, description="The devices below.")
    size: Size = Field(description="Size of the volume; less than the sum of the devices.")
    stripe: Size = Field("64KiB", validate_default=True, description="Length of a stripe.")


class Raid(Model):
    """A Linux md array over several devices."""

    over: tuple[Name, ...] = Field(min_length=2, description="The members, in order.")
    level: Literal["raid0", "raid1", "raid5"] = Field(description="How data is spread.")
    chunk: Size = Field("64KiB", validate_default=True, description="Length of a stripe.")


class Crypt(OnOne):
    """dm-crypt: the device below, encrypted with a fixed key."""


class Thin(Model):
    """dm-thin: a volume in a pool of its own, whose blocks are allocated when first written."""

    over: tuple[Name, Name] = Field(description="The devices below: for metadata, for data.")
    size: Size = Field(description="Size of the volume; not more than that of the data device.")


class NullBlk(Model):
    """A disk in memory by the driver null_blk."""

    size: Size = Field(description="Capacity; whole MiB.")
    zoned: bool = Field(False, description="Of zones that are only written from their start on.")
    no_gaps: bool = Field(
        False,
        description="Of blocks of 4 KiB, and no request has gaps in memory, as of many NVMe disks; "
        "from kernel 5.14 on.",
    )
    polled: bool = Field(
        False,
        description="With a queue for requests whose ends are polled for; from kernel 5.17 on.",
    )


class ScsiDebug(Model):
    """A SCSI disk in memory by the driver scsi_debug; one at a time."""

    size: Size = Field(description="Capacity; whole MiB.")
    protected: bool = Field(False, description="With checksums for each block (DIF and DIX).")


class Announcing(OnOne):
    """The device below, said to be able to do more: by targets of the lab (lab/data/announcing).

    Compiled in the guest when first used, which takes a minute. From kernel 5.19 on.
    """

    what: Literal["secure_erase", "dax", "encryption"] = Field(
        description="What it announces. Secure erase is done, by writing zeros."
    )


class Nbd(Model):
    """A network block device with its server in the guest, which keeps the data in memory."""

    size: Size = Field(description="Capacity.")


StackKind = (
    Partition
    | Linear
    | Delay
    | Flakey
    | ErrorZone
    | Multipath
    | NvmeTcp
    | Loop
    | Zram
    | Stripe
    | Lvm
    | Raid
    | Crypt
    | Thin
    | NullBlk
    | ScsiDebug
    | Nbd
    | Announcing
)
MADE_UP = (Zram, NullBlk, ScsiDebug, Nbd)
"""Kinds with nothing below."""


class Device(Model):
    """A device built in the guest before the first step: exactly one kind."""

    partition: Partition | None = Field(None, description="A partition of a disk.")
    linear: Linear | None = Field(None, description="dm-linear.")
    delay: Delay | None = Field(None, description="dm-delay.")
    flakey: Flakey | None = Field(None, description="dm-flakey.")
    error: ErrorZone | None = Field(None, description="dm-error over one range.")
    multipath: Multipath | None = Field(None, description="dm-multipath.")
    nvme_tcp: NvmeTcp | None = Field(None, description="An NVMe disk with multipath.")
    loop: Loop | None = Field(None, description="A loop device.")
    zram: Zram | None = Field(None, description="A zram device.")
    stripe: Stripe | None = Field(None, description="dm-stripe.")
    lvm: Lvm | None = Field(None, description="A striped logical volume.")
    raid: Raid | None = Field(None, description="An md array.")
    crypt: Crypt | None = Field(None, description="dm-crypt.")
    thin: Thin | None = Field(None, description="dm-thin.")
    null_blk: NullBlk | None = Field(None, description="A disk in memory, zoned if wanted.")
    scsi_debug: ScsiDebug | None = Field(None, description="A SCSI disk in memory.")
    announcing: Announcing | None = Field(
        None, description="A disk with secure erase, DAX or inline encryption."
    )
    nbd: Nbd | None = Field(None, description="A network block device.")

    @model_validator(mode="after")
    def _exactly_one(self) -> Device:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            kinds = ", ".join(type(self).model_fields)
            raise ValueError(f"a device is of exactly one kind, here: {given}; kinds are {kinds}")
        return self

    @property
    def kind(self) -> str:
        """The name of its kind, e.g. "partition"."""
        return next(n for n in type(self).model_fields if getattr(self, n) is not None)

    @property
    def stack(self) -> StackKind:
        """What its kind says."""
        found: StackKind = getattr(self, self.kind)
        return found

    @property
    def can_resize(self) -> bool:
        """Whether `resize` can change its size."""
        stack = self.stack
        return isinstance(stack, Linear) or (isinstance(stack, Loop) and stack.file is not None)

    @property
    def below(self) -> tuple[str, ...]:
        """Names of the devices it stands on."""
        stack = self.stack
        if isinstance(stack, (Stripe, Lvm, Raid, Thin)):
            return stack.over
        if isinstance(stack, MADE_UP) or stack.on is None:
            return ()
        return (stack.on,)


class Requires(Model):
    """What must be there; otherwise the scenario is skipped and the reason said."""

    modules: tuple[str, ...] = Field((), description="Kernel modules of the guest, e.g. dm-delay.")
    tools: tuple[str, ...] = Field((), description="Programs in the guest, e.g. mdadm.")
    functions: tuple[str, ...] = Field(
        (), description="Functions of the kernel that an option brings, e.g. blk_crypto_register."
    )
    kernel: Literal["any", "debug"] = Field("any", description="A debug kernel (KASAN, faults).")
    filter: Literal["any", "module"] = Field(
        "any",
        description="module: a kernel that bdevfilter hooks; not one with filters built in.",
    )
    kernel_from: str = Field(
        "0.0",
        pattern=r"^\d+\.\d+$",
        description='The first release that can do it, e.g. "5.15", in quotes.',
    )
    kernel_before: str = Field(
        "999.0",
        pattern=r"^\d+\.\d+$",
        description='The first release that does it another way, e.g. "6.8", in quotes.',
    )

    @model_validator(mode="after")
    def _some_kernel(self) -> Requires:
        first, before = (
            tuple(map(int, text.split("."))) for text in (self.kernel_from, self.kernel_before)
        )
        if first >= before:
            what = f"no kernel is from {self.kernel_from} on and before {self.kernel_before}"
            raise ValueError(what)
        return self

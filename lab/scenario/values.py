"""Values of the scenario language: sizes, names, errno names, and the base of all its models."""

from __future__ import annotations

import errno
import re
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from lab.host import LEAST_GUEST
from lab.units import MIB, format_size, parse_size


class Model(BaseModel):
    """Base of everything in a scenario: frozen, unknown keys refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=False,
        populate_by_name=True,
    )


def _size(value: Any) -> int:
    if not isinstance(value, (str, int)):
        raise ValueError(f"{value!r} is not a size; write e.g. 4096, 8s, 64KiB, 16MiB, 1GiB")
    return parse_size(value)


def _memory(size: int) -> int:
    if size < LEAST_GUEST or size % MIB:
        least = LEAST_GUEST // MIB
        raise ValueError(
            f"{format_size(size)} is no memory of a guest; write whole MiB, {least}MiB or more"
        )
    return size


def _errno(value: Any) -> Any:
    number = int(value) if isinstance(value, str) and value.isdecimal() else value
    if not isinstance(value, bool) and isinstance(number, int) and number in errno.errorcode:
        raise ValueError(f"{number} is a number; write the name, {errno.errorcode[number]}")
    if isinstance(value, int) or not isinstance(getattr(errno, str(value), None), int):
        raise ValueError(f"{value!r} is not the name of an errno; write e.g. ENOSPC, EIO, EINVAL")
    return value


def _one_or_many(value: Any) -> Any:
    return value if isinstance(value, (list, tuple)) else [value]


def _request(value: Any) -> Any:
    if not isinstance(value, str) or not re.fullmatch(r"0x[0-9A-Fa-f]{1,8}", value):
        raise ValueError(f"{value!r} is no request; write it in hexadecimal, e.g. 0x5401")
    return int(value, 16)


NAME_PATTERN = r"^[a-z][a-z0-9_-]*$"

Size = Annotated[
    int,
    BeforeValidator(_size),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": r"^\s*\d+\s*(B|s|KiB|MiB|GiB|TiB)?\s*$"},
            ],
            "description": "bytes, or with a unit: 8s (sectors of 512 bytes), 64KiB, 16MiB, 1GiB",
        }
    ),
]
"""A number of bytes; written as 4096, "8s" (sectors), "64KiB", "16MiB", "1GiB", "6TiB"."""

GuestMemory = Annotated[Size, AfterValidator(_memory)]
"""The memory of a guest, in bytes."""

Request = Annotated[
    int,
    BeforeValidator(_request),
    WithJsonSchema({"type": "string", "pattern": "^0x[0-9A-Fa-f]{1,8}$"}),
]
"""The value of an ioctl request, in hexadecimal."""

Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=32)]
"""The name of a device, snapshot or load, chosen by the scenario."""

DiskName = Annotated[str, Field(pattern=NAME_PATTERN, max_length=20)]
"""That of a disk; a virtio disk's serial number, which it is, has no more characters."""

ErrnoName = Annotated[
    str,
    BeforeValidator(_errno),
    WithJsonSchema({"type": "string", "pattern": "^E[A-Z0-9]+$", "examples": ["ENOSPC", "EIO"]}),
]
"""The symbolic name of an operating-system error."""

ErrnoNames = Annotated[tuple[ErrnoName, ...], BeforeValidator(_one_or_many), Field(min_length=1)]
"""One errno name or a list of those allowed."""

Seconds = Annotated[float, Field(gt=0, le=24 * 3600)]
"""A duration in seconds."""

GuestPath = Annotated[str, Field(pattern=r"^/", max_length=255)]
"""An absolute path in the guest."""


class Range(Model):
    """A piece of a device."""

    at: Size = Field(0, description="Where it begins, from the start of the device.")
    size: Size = Field(description="How long it is.")

    @property
    def sector(self) -> int:
        """First sector (512 bytes)."""
        return self.at // 512

    @property
    def count(self) -> int:
        """Sectors (512 bytes)."""
        return self.size // 512


class Filesystem(StrEnum):
    """File systems that a guest can make."""

    EXT4 = "ext4"
    XFS = "xfs"
    BTRFS = "btrfs"
    VFAT = "vfat"
    F2FS = "f2fs"


def errno_numbers(names: tuple[str, ...]) -> frozenset[int]:
    """The numbers of errno names, e.g. ("ENOSPC",) -> {28}."""
    return frozenset(int(getattr(errno, name)) for name in names)

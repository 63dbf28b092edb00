"""Verbs for what the lab compiles in the guest: a client in C, and a second user of the filter."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from lab.scenario.values import Model, Name, Seconds
from lab.units import MIB

CLIENT_SIZE = 64 * MIB
"""Of each of the client's devices (lab/data/client/client.h)."""


class ClientGroup(StrEnum):
    """Groups of checks that the client has (lab/data/client/client.c)."""

    LAYOUT = "layout"
    LEAK = "leak"
    OWNER = "owner"
    REQUESTS = "requests"
    COUNTS = "counts"
    PRIVILEGE = "privilege"
    POINTERS = "pointers"
    MAP = "map"
    MARK = "mark"
    FLOW = "flow"
    WAITING = "waiting"
    RACES = "races"
    UNLOAD = "unload"


class ClientStep(Model):
    """A verb that is done by the client in C."""

    devices: tuple[Name, Name, Name] = Field(
        ("a", "b", "store"),
        validate_default=True,
        description="Two originals and a storage, 64 MiB each.",
    )
    bits: Literal[32, 64] = Field(64, description="Word size that the client is compiled for.")


class Client(ClientStep):
    """Run groups of checks of a client in C that knows nothing but the module's header.

    They begin and end without snapshots and trackers. The model forgets what the devices hold.
    """

    groups: tuple[ClientGroup, ...] = Field(min_length=1, description="Groups, in order.")
    rules: tuple[str, ...] = Field(
        (), description="Rules of the contract that there must have been checks of, e.g. [K5, K6]."
    )


class Fuzz(ClientStep):
    """Make random requests with half-valid arguments, by several processes at once.

    Every answer must be one that the command may give; every command must have been done and
    refused. Snapshots are left to nobody; the originals are not written.
    """

    seconds: Seconds = Field(20.0, description="For how long; 30 s at a time.")
    seed: int | None = Field(
        None, ge=0, lt=2**32, description="Makes the same requests again; another one if left out."
    )


class SecondFilter(Model):
    """Load a second user of the block device filter, which counts the writes to a device.

    Module "second" (lab/data/second-filter), compiled in the first guest that uses it, which takes
    a minute, then kept in the cache. What it counted is in
    /sys/module/second/parameters/sectors; `rmmod second` removes it.
    """

    device: Name = Field(description="The device.")
    altitude: int = Field(1, ge=-1000, le=1000, description="Its place; blksnap's is 0.")

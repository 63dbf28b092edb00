# SPDX-License-Identifier: MIT
"""blksnap from Python: trackers, snapshots, CBT maps and events of the blksnap kernel module.

Standard library only, Python 3.9 and later, nothing else of the lab: copy this folder into a
backup tool and import it.

    Control      the module: version, lists, creating snapshots
    Tracker      change tracking of one device
    CbtMap       which blocks changed since which take
    Snapshot     storage, take, images, events, destroy
    abi          the C structures and request numbers underneath

Errors are BlksnapError, an OSError that also names the operation and explains its errno; files and
devices have plain OSErrors besides. Arguments that cannot be are ValueError or TypeError.
Every call of the module is logged, at DEBUG, by the logger of the module `node`.
`python3 -m lab.blksnap --help` is all of this on the command line.
"""

from __future__ import annotations

from .cbt import BlockRun, CbtMap
from .control import Control
from .device import Device, DeviceLike
from .errors import BlksnapError, CbtMapChangedError, UnfitFileError
from .fiemap import FileRanges, allocate, locate
from .node import Node
from .results import (
    CorruptedEvent,
    Event,
    ImageInfo,
    LowFreeSpaceEvent,
    SectorRange,
    TrackerInfo,
    UnknownEvent,
    Version,
)
from .snapshot import Snapshot
from .tracker import Tracker

__all__ = [
    "BlksnapError",
    "BlockRun",
    "CbtMap",
    "CbtMapChangedError",
    "Control",
    "CorruptedEvent",
    "Device",
    "DeviceLike",
    "Event",
    "FileRanges",
    "ImageInfo",
    "LowFreeSpaceEvent",
    "Node",
    "SectorRange",
    "Snapshot",
    "Tracker",
    "TrackerInfo",
    "UnfitFileError",
    "UnknownEvent",
    "Version",
    "allocate",
    "locate",
]

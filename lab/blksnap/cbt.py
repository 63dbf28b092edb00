# SPDX-License-Identifier: MIT
"""CbtMap: which blocks of a device changed, and since which snapshot.

The map has one byte for each tracking block: the number of the last take before which the block
was last written. Within one generation, blocks changed after take number N are those with a byte
greater than N. A client keeps (generation, number) with each backup; if the generation is another
one at the next take, only a full backup is right.
"""

from __future__ import annotations

import ctypes
import errno
import re
from dataclasses import dataclass
from types import TracebackType
from typing import Callable, Optional

from . import abi
from .device import Device
from .errors import BlksnapError, CbtMapChangedError
from .node import Node
from .results import SectorRange, TrackerInfo

_PIECE = 1 << 20
# Most maps are smaller than this: memory that is not needed has to be cleared all the same.
_FIRST_PIECE = 1 << 14
_SECTOR = 512
# A pattern, because it walks the bytes in C: one match is one run of equal bytes.
_EQUAL_BYTES = re.compile(rb"(.)\1*", re.DOTALL)


@dataclass(frozen=True)
class BlockRun:
    """`count` blocks from `block` on whose byte in the map is `number`."""

    block: int
    count: int
    number: int


class CbtMap:
    """The map of one device, as the last take froze it. A context manager.

    On entering, the tracker's record is kept in `info`; on leaving it is asked for again and
    CbtMapChangedError is raised if another take has replaced the map meanwhile.
    """

    def __init__(self, node: Node, device: Device, inform: Callable[[], TrackerInfo]) -> None:
        self.device = device
        self._node = node
        self._inform = inform
        self._info: Optional[TrackerInfo] = None

    @property
    def info(self) -> TrackerInfo:
        """Block size, block count, generation and number that belong to the map.

        As they were on entering; without `with`, when they were asked for first.
        """
        if self._info is None:
            self._info = self._inform()
        return self._info

    def read(self, offset: int = 0, length: Optional[int] = None) -> bytes:
        """IOCTL_BLK_SNAP_TRACKER_READ_CBT_MAP: the bytes of blocks offset .. offset + length.

        Both in blocks, which are bytes of the map; without length up to the end. Shorter at the
        end of the map, empty exactly at its end. A map of more than 16 KiB takes several calls of
        the module: within `with` another take between them is noticed. BlksnapError: EINVAL
        offset beyond the end; EPERM no snapshot of the device is taken; ENODATA not tracked;
        EFAULT the map is flagged as wrong and the next take starts a new generation. ValueError: a
        number below 0, or an offset of more than 32 bits.
        """
        _check_blocks(offset, length)
        pieces = []
        size = _FIRST_PIECE
        while length is None or length > 0:
            piece = self._read_piece(offset, size if length is None else min(size, length))
            if not piece:
                break
            pieces.append(piece)
            offset += len(piece)
            length = None if length is None else length - len(piece)
            size = _PIECE
        return b"".join(pieces)

    def runs(self, offset: int = 0, length: Optional[int] = None) -> list[BlockRun]:
        """The map run-length coded: ascending, without gaps; arguments and errors as read()."""
        return [
            BlockRun(offset + found.start(), found.end() - found.start(), found.group(1)[0])
            for found in _EQUAL_BYTES.finditer(self.read(offset, length))
        ]

    def changed_since(self, number: int) -> list[SectorRange]:
        """What was written after take `number` of this generation, in sectors, ascending, joined.

        0: everything since the generation began. The last range ends with the device. BlksnapError
        as from read(); CbtMapChangedError at the end of `with`: they are void. ValueError: the
        generation has had no such take, as `number` is not within 0 .. info.number.
        """
        info = self.info
        size = info.block_size // _SECTOR
        end = info.capacity // _SECTOR
        runs = self.runs()
        # After the read: of a device that is gone, the module's error says more than this one.
        if not 0 <= number <= info.number:
            raise ValueError(f"take {number} is outside 0..{info.number}, those of the generation")
        found: list[SectorRange] = []
        for run in runs:
            if run.number <= number:
                continue
            first, last = run.block * size, min((run.block + run.count) * size, end)
            if found and found[-1].end == first:
                first = found.pop().sector
            found.append(SectorRange(first, last - first))
        return found

    def _read_piece(self, offset: int, length: int) -> bytes:
        buffer = ctypes.create_string_buffer(length)
        argument = abi.blk_snap_tracker_read_cbt_bitmap()
        argument.dev_id = self.device.to_abi()
        argument.offset = offset
        argument.length = length
        argument.buff = ctypes.addressof(buffer)
        count = self._node.ioctl(
            abi.IOCTL_BLK_SNAP_TRACKER_READ_CBT_MAP, argument, str(self.device)
        )
        return bytes(memoryview(buffer)[:count])

    def __enter__(self) -> CbtMap:
        self._info = self._inform()
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        # Behind the end of a map that has taken its place, and is shorter, the module says EINVAL.
        beyond = isinstance(error, BlksnapError) and error.errno == errno.EINVAL
        if (error is None or beyond) and self._inform() != self._info:
            raise CbtMapChangedError(str(self.device)) from error


def _check_blocks(offset: int, length: Optional[int]) -> None:
    """ValueError for numbers that the structure's fields cannot hold: ctypes would cut them."""
    if not 0 <= offset < 1 << 32 or (length is not None and length < 0):
        raise ValueError(f"blocks {offset}+{length} are outside 0..2**32-1")

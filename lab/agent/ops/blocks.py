"""Block I/O: stamped writes, erasing, scanning, copying, digests, facts of a device."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Optional

from lab import stamp
from lab.agent.block.device import Erase, erase, geometry, opened
from lab.agent.block.killed import write_and_kill
from lab.agent.block.reading import Bad, reader_of
from lab.agent.block.ways import How
from lab.agent.block.writing import write_stamped
from lab.agent.registry import Result, operation
from lab.agent.syscalls import os_error
from lab.errors import UsageError
from lab.units import SECTOR

# An answer is sent by then, with the place to go on from.
_SCAN_S = 8.0
_NOWAITS = (How.NOWAIT, How.IO_URING_NOWAIT)


@operation
def write(
    path: str,
    tag: int,
    writes: list[tuple[int, int, int]],
    *,
    how: How = How.DIRECT,
    queue_depth: int = 8,
    chunk: Optional[int] = None,
    sync: bool = True,
) -> Result:
    """Stamped writes, in order. The first failure is raised; those that do not wait are listed."""
    if not writes:
        return {"written": 0, "errors": []}
    stop = how not in _NOWAITS
    failures = write_stamped(
        path, tag, writes, how, depth=queue_depth, chunk=chunk, sync=sync, stop=stop
    )
    if failures and stop:
        first = failures[0]
        raise os_error(first.errno, f"write {first.token} {writes[first.token]} to {path}")
    failed = sorted({failure.token for failure in failures})
    return {
        "written": len(writes) - len(failed),
        "errors": [[failure.token, failure.errno] for failure in failures],
    }


@operation
def write_killed(path: str, tag: int, writes: list[tuple[int, int, int]], after: float) -> Result:
    """A process for each direct stamped write; SIGKILL to all that are not done `after` s later."""
    return {"killed": write_and_kill(path, tag, writes, after)}


@operation
def zero(path: str, ranges: list[tuple[int, int]], how: Erase = Erase.WRITE_ZEROES) -> Result:
    """Zero or discard ranges without data."""
    with opened(path, os.O_RDWR) as fd:
        for sector, count in ranges:
            erase(fd, how, sector, count)
    return {}


@operation
def fsync(path: str) -> Result:
    """fsync: write back the page cache of a device and flush the cache of the disk."""
    with opened(path, os.O_RDWR) as fd:
        os.fsync(fd)
    return {}


@operation
def scan(
    path: str,
    sector: int,
    count: int,
    *,
    direct: bool = True,
    max_runs: int = 3000,
    grain: int = 4096,
    once: bool = False,
) -> Result:
    """Read and decode stamps into maximal runs; `next` is where to go on, null at the end.

    once: an error that does not come back when the range is read again is told in `passing` only.
    """
    runs: list[stamp.Run] = []
    errors: list[list[int]] = []
    passing: list[list[int]] = []
    reached = sector
    end = time.monotonic() + _SCAN_S
    with reader_of(path, direct, grain, once=once) as reader:
        for piece in reader.pieces(sector, count):
            if isinstance(piece, Bad):
                _add_error(errors, piece)
                reached = piece.sector + piece.count
            else:
                last = [runs.pop()] if runs else []
                runs.extend(stamp.joined([*last, *stamp.scan(piece.data, piece.sector)]))
                reached = piece.sector + len(piece.data) // SECTOR
            if len(runs) > max_runs or len(errors) > max_runs or time.monotonic() > end:
                break
        for piece in reader.passing:
            _add_error(passing, piece)
    if len(runs) > max_runs > 0:
        reached = min(reached, runs[max_runs].sector)
        runs = runs[:max_runs]
        errors = [error for error in errors if error[0] < reached]
    after = None if reached >= sector + count else reached
    listed = [_listed(run) for run in runs]
    return {"runs": listed, "next": after, "errors": errors, "passing": passing}


@operation
def copy(
    source: str,
    target: str,
    ranges: list[tuple[int, int]],
    direct: bool = True,
) -> Result:
    """Copy sector ranges from one device to the same places of another; flushed at the end.

    OSError of the read or write that failed.
    """
    copied = 0
    flags = os.O_WRONLY | (os.O_DIRECT if direct else 0)
    with reader_of(source, direct) as reader, opened(target, flags) as fd:
        for sector, count in ranges:
            for place, view in reader.views(sector, count):
                written = os.pwrite(fd, view, place * SECTOR)
                if written != len(view):
                    raise os_error(5, f"{target}: short write at sector {place}")
                copied += written // SECTOR
        os.fsync(fd)
    return {"copied_sectors": copied}


@operation
def digest(path: str, offset: int, length: int, block: int, direct: bool = True) -> Result:
    """MD5 of each block of a byte range.

    Emulated it is ten times as fast as those that stand up to malice, which nobody has here.
    """
    if block <= 0 or block % SECTOR or offset % SECTOR:
        raise UsageError(f"digest: block and offset must be multiples of {SECTOR}")
    first, end = offset // SECTOR, -(-(offset + length) // SECTOR)
    step = block // SECTOR
    digests: list[Optional[str]] = []
    errors: list[list[int]] = []
    with reader_of(path, direct, piece=block) as reader:
        for start in range(first, end, step):
            digests.append(_digest(reader.pieces(start, min(step, end - start)), errors))
    return {"digests": digests, "errors": errors}


@operation
def device_info(path: str) -> Result:
    """Size and block sizes in bytes, device number."""
    with opened(path, os.O_RDONLY) as fd:
        return asdict(geometry(fd))


def _digest(pieces: Iterator[Any], errors: list[list[int]]) -> Optional[str]:
    sum_ = hashlib.md5(usedforsecurity=False)
    whole = True
    for piece in pieces:
        if isinstance(piece, Bad):
            _add_error(errors, piece)
            # Beyond the end there is nothing to digest; what was read still counts.
            whole = whole and piece.errno == 61
        else:
            sum_.update(piece.data)
    return sum_.hexdigest() if whole else None


def _add_error(errors: list[list[int]], bad: Bad) -> None:
    if errors and errors[-1][2] == bad.errno and sum(errors[-1][:2]) == bad.sector:
        errors[-1][1] += bad.count
    else:
        errors.append([bad.sector, bad.count, bad.errno])


def _listed(run: stamp.Run) -> list[Any]:
    listed = [run.sector, run.count, run.kind.value, run.tag, run.seq, run.origin]
    return [*listed, run.crc32, run.head] if run.kind is stamp.Kind.GARBAGE else listed

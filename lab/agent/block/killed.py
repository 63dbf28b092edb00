"""Writes by processes of their own, which are killed while they wait for them."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Sequence

from lab import stamp
from lab.agent.block.device import opened
from lab.agent.block.memory import Aligned
from lab.agent.block.writing import StampedWrite
from lab.units import SECTOR


def write_and_kill(path: str, tag: int, writes: Sequence[StampedWrite], after: float) -> int:
    """Fork a process for each write, let all write at once, kill those that still run `after`
    seconds later, and wait for their ends; how many were killed. OSError if one failed.

    A killed process ends only when its write has: whether that is done is not known.
    """
    children: list[int] = []
    start, begin = os.pipe()
    with opened(path, os.O_WRONLY | os.O_DIRECT) as fd:
        try:
            try:
                for write in writes:
                    children.append(_forked(fd, tag, write, start, begin))
            finally:
                os.close(begin)
            time.sleep(after)
        finally:
            os.close(start)
            for child in children:
                os.kill(child, signal.SIGKILL)
            ends = [os.waitpid(child, 0)[1] for child in children]
    failed = [status for status in ends if os.WIFEXITED(status) and os.WEXITSTATUS(status)]
    if failed:
        raise OSError(errno.EIO, f"{len(failed)} of {len(writes)} writes failed")
    return sum(os.WIFSIGNALED(status) for status in ends)


def _forked(fd: int, tag: int, write: StampedWrite, start: int, begin: int) -> int:
    """The process that makes one write and ends. It does nothing that could need a lock.

    It begins when nobody has the other end of the pipe `start`, `begin`, open any more.
    """
    sector, count, seq = write
    with Aligned(count * SECTOR) as memory, memory[:] as view:
        stamp.fill(view, tag, sector, seq)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.close(begin)
                os.read(start, 1)
                status = int(os.pwrite(fd, view, sector * SECTOR) != len(view))
            finally:
                os._exit(status)
    return child

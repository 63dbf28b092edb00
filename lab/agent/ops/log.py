"""The kernel log."""

from __future__ import annotations

from lab.agent.kernel_log import KernelLog, listed
from lab.agent.registry import Result, operation

_log = KernelLog()


@operation
def kmsg(since_seq: int = 0) -> Result:
    """Records from since_seq on; `more`: ask again at once with next_seq; `lost`: overwritten."""
    read = _log.since(since_seq)
    found = listed(read.records)
    return {"records": found, "next_seq": read.next_seq, "more": read.more, "lost": read.lost}


@operation
def klog_mark(text: str) -> Result:
    """Write a marker line at info level; its sequence number."""
    return {"seq": _log.mark(text)}

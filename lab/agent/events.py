"""Events of the module as JSON objects."""

from __future__ import annotations

from typing import Any

from lab import blksnap


def described(event: blksnap.Event) -> dict[str, Any]:
    """code, kind, time_ns (CLOCK_MONOTONIC) and what the kind has besides."""
    if isinstance(event, blksnap.LowFreeSpaceEvent):
        return {
            "code": 0,
            "kind": "low_space",
            "time_ns": event.time_ns,
            "requested_sectors": event.requested_sectors,
        }
    if isinstance(event, blksnap.CorruptedEvent):
        return {
            "code": 1,
            "kind": "corrupted",
            "time_ns": event.time_ns,
            "device": [event.device.major, event.device.minor],
            "path": event.device.path,
            "errno": event.errno,
        }
    return {"code": event.code, "kind": "unknown", "time_ns": event.time_ns}

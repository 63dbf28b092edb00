"""The guest as a whole: greeting, clock, randomness, memory figures."""

from __future__ import annotations

import fcntl
import os
import platform
import random
import struct
import time
from pathlib import Path

from lab.agent.registry import Result, at_once, operation
from lab.errors import UsageError

_RNDADDENTROPY = 0x4008_5203
_RNDRESEEDCRNG = 0x5207


@at_once
def hello(nonce: str = "") -> Result:
    """The first request of a connection; the echo tells its answer from those to an older host."""
    return {
        "nonce": nonce,
        "pid": os.getpid(),
        "python": platform.python_version(),
        "kernel": os.uname().release,
        "monotonic_ns": time.monotonic_ns(),
    }


@at_once
def set_clock(unix_ns: int) -> Result:
    """Set the real-time clock: a clone wakes with its template's time."""
    time.clock_settime_ns(time.CLOCK_REALTIME, unix_ns)
    return {}


@at_once
def reseed(hex: str) -> Result:
    """Mix bytes into the kernel's random pool, credit them, and reseed its generator with them."""
    try:
        data = bytes.fromhex(hex)
    except ValueError:
        raise UsageError("reseed: hex is not hexadecimal") from None
    fd = os.open("/dev/urandom", os.O_WRONLY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, _RNDADDENTROPY, struct.pack("ii", len(data) * 8, len(data)) + data)
        fcntl.ioctl(fd, _RNDRESEEDCRNG)
    finally:
        os.close(fd)
    random.seed(data)
    return {}


@operation
def sysinfo() -> Result:
    """Memory figures, in bytes."""
    return {"mem": _meminfo()}


def _meminfo() -> dict[str, int]:
    """/proc/meminfo; kB lines as bytes, the rest are counts of pages."""
    found = {}
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        name, value, *unit = line.replace(":", " ").split()
        found[name] = int(value) * (1024 if unit == ["kB"] else 1)
    return found

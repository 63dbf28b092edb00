"""How many guests this machine can run at a time, and the memory it has for them."""

import os
from pathlib import Path

from lab.units import MIB

# Of QEMU itself: translated code, the disks' caches.
OVERHEAD = 256 * MIB
# A guest with a compiler's leftovers, agent and module does not work in less.
LEAST_GUEST = 256 * MIB


def available_memory() -> int:
    """Bytes that programs can have without swapping."""
    fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    return int(fields["MemAvailable"].split()[0]) * 1024


def total_memory() -> int:
    """Bytes of memory that this machine has."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def processors() -> int:
    """How many this process may use; a container may have fewer than the machine."""
    return len(os.sched_getaffinity(0))


def fitting_jobs(memory: int) -> int:
    """How many guests of so many bytes: one more than there are processors, if memory allows.

    A guest has two processors, but often waits for disks that are slow on purpose, or for time to
    pass: with one guest for each processor they were idle for four tenths of a run.
    """
    return max(1, min(processors() + 1, available_memory() // (memory + OVERHEAD)))

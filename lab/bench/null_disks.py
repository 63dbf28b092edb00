"""Disks of the guest's kernel that move no data (null_blk): the host's disk and its load stay out.

A disk answers a fixed time after it was asked, whatever the size, any number of requests at once,
and without work for the processor: as a fast disk does that copies by itself. With latency 0 it
answers at once, and only what the processor does is left. What is read from it means nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from lab.bench.bench_guest import BenchGuest
from lab.units import MIB

_FOLDER = "/sys/kernel/config/nullb"
# The largest request, in sectors: more than a chunk, as of a real disk.
_MAX_SECTORS = 2048

_MAKE = """
set -e
modprobe null_blk nr_devices=0
mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config
mkdir {folder}
cd {folder}
while read name value; do echo $value > $name; done
echo 1 > power
for try in $(seq 200); do
    # The disk is called as its folder, before Linux 5.19 by its number.
    for node in /dev/{name} /dev/nullb$(cat index); do
        if [ -b $node ]; then echo $node; exit; fi
    done
    sleep 0.05
done
echo no node for {name} >&2
exit 1
"""


@contextmanager
def null_disk(guest: BenchGuest, name: str, size: int, latency_ns: int = 0) -> Iterator[str]:
    """A disk of `size` bytes (whole MiB); its path."""
    name = f"lab-{name}"
    folder = f"{_FOLDER}/{name}"
    # 0: answered in the submitter's context; 2: by a timer.
    settings = {
        "size": size // MIB,
        "blocksize": 512,
        "queue_mode": 2,
        "hw_queue_depth": 128,
        "max_sectors": _MAX_SECTORS,
        "irqmode": 2 if latency_ns else 0,
        "completion_nsec": latency_ns,
    }
    text = "".join(f"{key} {value}\n" for key, value in settings.items())
    path = guest.run(["sh", "-c", _MAKE.format(folder=folder, name=name)], text).strip()
    yield path
    guest.run(["rmdir", folder])

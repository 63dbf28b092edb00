"""How long a clone takes to answer, measured on this machine."""

import statistics
from dataclasses import dataclass

from lab.cache import Cache
from lab.errors import LabError
from lab.guest.disks import DiskSpec
from lab.guest.template import Template
from lab.progress import Progress, ProgressSink, silent
from lab.units import MIB

STAGE = "clones"
DISKS = (DiskSpec("a", 256 * MIB), DiskSpec("b", 64 * MIB))


@dataclass(frozen=True)
class CloneTimes:
    """Seconds from the wish for a clone to its first answer, and to its being ready for steps."""

    first_answer: tuple[float, ...]
    ready: tuple[float, ...]

    def __str__(self) -> str:
        return "\n".join(
            f"{what:13s} median {statistics.median(times):.2f} s, "
            f"{min(times):.2f} to {max(times):.2f} s, {len(times)} clones"
            for what, times in (("first answer", self.first_answer), ("ready", self.ready))
        )


def measure_clones(template: Template, count: int, progress: ProgressSink = silent) -> CloneTimes:
    """Make clones with two disks, one after the other, and time each."""
    times = []
    for number in range(count):
        progress(Progress(STAGE, f"{number + 1} of {count}", number / count))
        times.append(_one(template))
    return CloneTimes(tuple(first for first, _ in times), tuple(ready for _, ready in times))


def _one(template: Template) -> tuple[float, float]:
    with (
        Cache().scratch("bench") as folder,
        template.clone(DISKS, folder) as guest,
    ):
        if guest.first_answer_s is None or guest.ready_s is None:
            raise LabError("the clone was not timed")
        return guest.first_answer_s, guest.ready_s

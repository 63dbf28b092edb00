"""The measurement of the module, from a template to its rounds."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lab.bench.bench_guest import BenchGuest
from lab.bench.figures import Round
from lab.bench.rounds import ORIGINAL_SIZE, OTHER_SIZE, STORE_SIZE, Bench, Disks, fill, measure
from lab.cache import Cache
from lab.errors import UsageError
from lab.guest.disks import DiskSpec
from lab.guest.template import Template
from lab.progress import Progress, ProgressSink, silent

STAGE = "bench"
LATENCY_NS = 50_000
"""Of disks that move no data, unless another one is asked for."""
_SIZES = {"original": ORIGINAL_SIZE, "store": STORE_SIZE, "other": OTHER_SIZE}


@dataclass(frozen=True)
class ModuleBench:
    """How to measure.

    `rounds`; `depth`: requests under way; `latency_ns`: of disks that move no data (see
    BenchGuest.null_disk); None: virtio disks in files of the host.
    """

    rounds: int = 5
    depth: int = 1
    latency_ns: int | None = None

    def run(self, template: Template, progress: ProgressSink = silent) -> tuple[Round, ...]:
        """Measure in a clone of the template, which has to have the module."""
        if template.module_dir is None:
            raise UsageError("there is no module to measure")
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(Cache().scratch("bench"))
            specs = [DiskSpec(name, size) for name, size in _SIZES.items()]
            virtio = self.latency_ns is None
            made = stack.enter_context(template.clone(specs if virtio else (), folder))
            guest = BenchGuest(made.channel, template.module_dir, template.flavour)
            progress(Progress(STAGE, "compiling the load", 0.0))
            guest.compile_load()
            if self.latency_ns is None:
                paths = {name: disk.path for name, disk in made.disks.items()}
            else:
                paths = stack.enter_context(null_disks(guest, self.latency_ns))
            bench = Bench(guest, Disks(**paths), self.depth, keeps=virtio)
            if virtio:
                fill(bench)
            return measure(bench, self.rounds, _teller(progress, self.rounds))


@contextlib.contextmanager
def null_disks(guest: BenchGuest, latency_ns: int = LATENCY_NS) -> Iterator[dict[str, str]]:
    """The disks of a Bench, by their names in Disks, that move no data."""
    with contextlib.ExitStack() as stack:
        yield {
            name: stack.enter_context(guest.null_disk(name, size, latency_ns))
            for name, size in _SIZES.items()
        }


def _teller(progress: ProgressSink, rounds: int) -> Callable[[int, str], None]:
    def tell(number: int, what: str) -> None:
        progress(Progress(STAGE, f"round {number + 1} of {rounds}: {what}", number / rounds))

    return tell

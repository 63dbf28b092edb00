"""What the measurements do in the guest, through its agent: timed I/O, modules, snapshots, dm.

All of it has limits in seconds; an error of the guest is a LabError. After one nothing is put in
order: the guest is thrown away.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from typing import Any, Protocol

from lab.errors import LabError
from lab.flavour import Flavour
from lab.units import SECTOR

LIMIT = 600.0
LOAD_LIMIT = 300.0
COMPILE_LIMIT = 300.0
LOAD = "/tmp/lab-load"


class Channel(Protocol):
    """The line to the agent."""

    def request(self, op: str, args: Mapping[str, object], timeout: float) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Job:
    """One kind of I/O, as load.c does it; sizes in bytes. `seed` 0: in order."""

    block: int
    count: int
    stride: int
    start: int = 0
    seed: int = 0
    depth: int = 1
    passes: int = 1

    @property
    def operations(self) -> int:
        """Number of blocks that are read or written."""
        return self.count * self.passes


class BenchGuest:
    """A guest to measure in."""

    def __init__(self, channel: Channel, module_dir: str, flavour: Flavour) -> None:
        self._channel = channel
        self._modules = module_dir
        self._names = flavour

    def request(self, op: str, **args: object) -> dict[str, Any]:
        """An operation of the agent."""
        return self._channel.request(op, args, LIMIT)

    def run(self, argv: Sequence[str], text: str = "", limit: float = LIMIT) -> str:
        """What a program prints. LabError if it fails or takes longer than `limit` seconds."""
        # There is no udev: dmsetup makes the nodes itself.
        env = {"DM_DISABLE_UDEV": "1", "LC_ALL": "C"}
        args = {"argv": list(argv), "input": text, "timeout": limit, "env": env}
        outcome = self._channel.request("exec", args, limit + LIMIT)
        if outcome["status"]:
            said = outcome["stderr"].strip() or outcome["stdout"].strip()
            raise LabError(f"{' '.join(argv)}: status {outcome['status']}: {said}")
        return str(outcome["stdout"])

    def compile_load(self) -> None:
        """Compile load.c in the guest."""
        source = resources.files("lab.bench").joinpath("load.c").read_text(encoding="utf-8")
        self.run(["gcc", "-O2", "-x", "c", "-o", LOAD, "-"], source, COMPILE_LIMIT)

    def write(self, path: str, job: Job) -> float:
        """Seconds of one direct write."""
        return self._load(path, job, "write", "direct")

    def read(self, path: str, job: Job, *, cached: bool = False) -> float:
        """Seconds of one read; `cached`: of what was read just before, from the page cache."""
        return self._load(path, job, "read", "cached" if cached else "direct")

    def _load(self, path: str, job: Job, what: str, how: str) -> float:
        numbers = (job.block, job.count, job.stride, job.start, job.seed, job.depth, job.passes)
        printed = self.run([LOAD, path, what, how, *map(str, numbers)], limit=LOAD_LIMIT)
        return int(printed) / 1e9 / job.operations

    @contextmanager
    def null_disk(self, name: str, size: int, latency_ns: int = 0) -> Iterator[str]:
        """A disk of `size` bytes (whole MiB) that moves no data; its path.

        The host's disk and its load stay out: it answers a fixed time after it was asked, without
        work for the processor, as a fast disk does that copies by itself.
        """
        args = {"size": size, "keeps": False, "latency_ns": latency_ns}
        yield str(self.request("stack_create", name=name, kind="null_blk", **args)["path"])
        self.request("stack_remove", name=name)

    @contextmanager
    def module(self) -> Iterator[None]:
        """The modules loaded; tracking of whatever is tracked ends before they go.

        A kernel that has filters itself has no module for that.
        """
        there = self.run(["ls", self._modules]).split()
        names = [one for one in (self._names.filter, self._names.module) if f"{one}.ko" in there]
        for name in names:
            self.request("module_load", path=f"{self._modules}/{name}.ko")
        yield
        for name in reversed(names):
            self.request("module_unload", name=name)

    @contextmanager
    def tracked(self, device: str) -> Iterator[None]:
        """A device that is tracked."""
        made = self.request("snapshot_create", devices=[device])["id"]
        self.request("snapshot_destroy", id=made)
        yield
        self.request("tracker_remove", device=device)

    @contextmanager
    def held(self, device: str, store: str, size: int) -> Iterator[tuple[str, float]]:
        """A snapshot that is taken: path of its image, and seconds that take took.

        The storage is the first `size` bytes of `store`.
        """
        made = str(self.request("snapshot_create", devices=[device])["id"])
        ranges = [(0, size // SECTOR)]
        self.request("append_storage", id=made, device=store, ranges=ranges)
        took = self.request("snapshot_take", id=made)
        image = self.request("collect_images", id=made)["images"][0]["path"]
        yield str(image), (took["end_ns"] - took["begin_ns"]) / 1e9
        self.request("snapshot_destroy", id=made)

    @contextmanager
    def dm_snapshot(self, device: str, store: str, chunk: int, kind: str) -> Iterator[str]:
        """dm-snapshot of a device; the path by which the original is written. kind: N or P."""
        size = int(self.run(["blockdev", "--getsz", device]))
        # What lies there must not look like the exceptions of a snapshot before.
        self.run(["dd", "if=/dev/zero", f"of={store}", "bs=1M", "count=1", "oflag=direct"])
        with (
            self._mapped("bench-origin", f"0 {size} snapshot-origin {device}"),
            self._mapped(
                "bench-snapshot", f"0 {size} snapshot {device} {store} {kind} {chunk // SECTOR}"
            ),
        ):
            yield "/dev/mapper/bench-origin"

    @contextmanager
    def _mapped(self, name: str, table: str) -> Iterator[None]:
        self.run(["dmsetup", "create", name], table + "\n")
        yield
        self.run(["dmsetup", "remove", "--retry", name])

"""A guest for the runner, made of a FakeKernel: template, clone, machine, channel, agent."""

from __future__ import annotations

import base64
import errno
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from lab.flavour import Flavour
from lab.guest.channel import AgentFailure, ChannelTimeout
from lab.guest.disks import DiskSpec
from lab.guest.lost import GuestLost, HostFault
from lab.modbuild import BuiltModule
from lab.runner.leaks import KMEMLEAK

from .fake_kernel import FakeKernel, Refused

ALLOCATIONS = 3
"""Of each command; it can do without the last one."""
SECTIONS = "/sys/module/blksnap/sections/.text:0xffffffffc028a000\n"
PANIC = """\
[    5.000000] BUG: kernel NULL pointer dereference, address: 0000000000000000
[    5.000001] Oops: 0002 [#1] PREEMPT SMP NOPTI
[    5.000002] RIP: 0010:snapshot_take+0x5/0x100 [blksnap]
[    5.000003] Call Trace:
[    5.000004]  <TASK>
[    5.000005]  ctrl_ioctl+0x59/0x220 [blksnap]
[    5.000006] Kernel panic - not syncing: Fatal exception
"""
WARNING = (
    "WARNING: CPU: 0 PID: 9 at chunk.c:1 chunk_free+0x1/0x2 [blksnap]",
    "Call Trace:",
    " chunk_free+0x1/0x2 [blksnap]",
    "---[ end trace 0000000000000000 ]---",
)


@dataclass
class Misfortune:
    """What befalls the guest when an operation is asked for, the n-th time (from 1)."""

    op: str
    kind: str
    nth: int = 1


@dataclass(frozen=True)
class FakeDisk:
    name: str
    path: str
    size: int
    host_file: Path = Path("/nonexistent")
    log: Path | None = None
    base: Path | None = None


SAID = {
    "complaint": (4, "blksnap-tracker: this is odd"),
    "notice": (5, "blksnap-tracker: this is odd"),
    "failed write-back": (3, "Buffer I/O error on dev vdb, logical block 7, lost async page write"),
    "failed read of an image": (
        3,
        "Buffer I/O error on dev blksnap-image0, logical block 7, async page read",
    ),
    "leak": (3, "blksnap: leak: cbt_map: 1 objects, 56 bytes"),
}
"""Misfortunes that are but lines of the kernel log: level and text."""


@dataclass
class FakeMachine:
    console_path: Path
    state: str = "running"
    command_line: Sequence[str] = ("qemu-system-x86_64", "-m", "1G")

    def describe(self) -> str:
        return self.state

    def wait_exit(self, timeout: float) -> bool:
        return self.state == "exited"


@dataclass
class FakeGuest:
    machine: FakeMachine
    disks: dict[str, FakeDisk]
    kernel: FakeKernel
    misfortunes: list[Misfortune]
    on_request: Callable[[str], object]
    module_dir: str | None = "/modules"
    module_source: Path | None = None
    image: str = "image"
    flavour: Flavour = field(default_factory=Flavour)
    asked: list[str] = field(default_factory=list)
    limits: list[tuple[str, float]] = field(default_factory=list)
    cut: bool = False

    @property
    def channel(self) -> FakeGuest:
        return self

    def power_cut(self) -> None:
        self.cut = True
        self.machine.state = "exited"

    def request(self, op: str, args: Mapping[str, object], timeout: float) -> dict[str, Any]:
        assert timeout > 0
        self.on_request(op)
        if self.machine.state != "running":
            raise GuestLost("QEMU ended")
        self.asked.append(op)
        self.limits.append((op, timeout))
        for one in self.misfortunes:
            if one.op == op and self.asked.count(op) == one.nth:
                self._befall(one, op, timeout)
        if op != "hello" and "deaf" in self.kernel.broken:
            raise ChannelTimeout(op, timeout)
        try:
            return Agent(self.kernel, self.module_dir).do(op, dict(args))
        except Refused as refused:
            raise failure("os", op, str(refused), refused.errno) from refused

    def _befall(self, one: Misfortune, op: str, timeout: float) -> None:
        if one.kind == "panic":
            self.machine.console_path.write_text(PANIC)
            self.machine.state = "exited"
            raise GuestLost("its kernel panicked")
        if one.kind == "lost":
            self.machine.state = "exited"
            raise GuestLost("QEMU ended with status -9")
        if one.kind == "host":
            raise HostFault("write of its disk a failed on the host: Input/output error")
        if one.kind == "stuck":
            raise ChannelTimeout(op, timeout)
        if one.kind == "hang":
            self.misfortunes.append(Misfortune("hello", "stuck", self.asked.count("hello") + 1))
            raise ChannelTimeout(op, timeout)
        if one.kind == "internal":
            raise failure("internal", op, "KeyError: 'x'", None)
        if one.kind == "splat":
            self.kernel.say(*WARNING, level=4)
        elif one.kind in SAID:
            self.kernel.say(SAID[one.kind][1], level=SAID[one.kind][0])
        elif one.kind == "bug in the lab":
            raise ZeroDivisionError("division by zero")
        else:
            raise failure("os", op, "as the test wants", int(one.kind))


def failure(kind: str, op: str, message: str, number: int | None) -> AgentFailure:
    error = {"kind": kind, "errno": number, "operation": op, "message": message}
    return AgentFailure(error | {"traceback": "Traceback" if kind == "internal" else None})


class Agent:
    """The operations of the real agent, as far as the tests' scenarios need them."""

    def __init__(self, kernel: FakeKernel, module_dir: str | None) -> None:
        self.kernel = kernel
        self.module_dir = module_dir

    def do(self, op: str, args: dict[str, Any]) -> dict[str, Any]:
        method: Callable[..., dict[str, Any] | None] = getattr(self, f"op_{op}")
        return method(**args) or {}

    def op_hello(self, nonce: str) -> dict[str, Any]:
        return {"nonce": nonce}

    def op_klog_mark(self, text: str) -> dict[str, Any]:
        self.kernel.say(text)
        return {"seq": len(self.kernel.log) - 1}

    def op_kmsg(self, since_seq: int) -> dict[str, Any]:
        records = [
            {"seq": seq, "level": level, "time_us": seq, "text": text}
            for seq, (level, text) in enumerate(self.kernel.log)
            if seq >= since_seq
        ]
        lost, self.kernel.overwritten = self.kernel.overwritten, 0
        return {
            "records": records,
            "next_seq": len(self.kernel.log),
            "more": False,
            "lost": lost,
        }

    def op_exec(self, argv: list[str], timeout: float, input: str = "") -> dict[str, Any]:
        out, status = "", 0
        if "blksnap-image" in argv[-1] and "left behind" in self.kernel.broken:
            out = "/sys/block/blksnap-image0"
        elif "modprobe" in argv[-1]:
            out = "dm-missing"
        elif "/proc/kallsyms" in argv[-1]:
            out = "blk_missing"
        elif argv[0] == "false":
            status = 1
        elif "/sections/" in argv[-1]:
            out = SECTIONS
        return {"status": status, "stdout": out, "stderr": "", "truncated": False}

    def op_sync(self) -> None:
        pass

    def op_module_load(self, path: str, params: dict[str, int] | None = None) -> None:
        self.kernel.loaded.add(Path(path).stem)
        self.kernel.parameters.update(params or {})

    def op_module_unload(self, name: str, timeout: float) -> None:
        if "module busy" in self.kernel.broken or self.kernel.snapshots:
            raise Refused(errno.EBUSY, "in use")
        self.kernel.loaded.discard(name)

    def op_module_info(self, name: str) -> dict[str, Any]:
        return {"loaded": name in self.kernel.loaded, "refcount": 0}

    def op_read_file(self, path: str, limit: int = 65536) -> dict[str, Any]:
        if path == KMEMLEAK:
            if self.kernel.leaks is None:
                raise Refused(errno.ENOENT, path)
            return {"text": self.kernel.leaks[:limit]}
        return {"text": "".join(f"{name} 0 {n}\n" for name, n in self.kernel.faults.items())}

    def op_write_file(self, path: str, text: str) -> None:
        if path == "/proc/sysrq-trigger":
            self.kernel.say("sysrq: Show Blocked State", "task:python3 state:D pid:7")
            return
        if path == KMEMLEAK:
            self.kernel.say("kmemleak: 1 new suspected memory leaks (see /sys/...)")
            return
        name, _, times = text.split()
        self.kernel.faults[name] = int(times)

    def op_starved(self, op: str, args: dict[str, Any], nth: int) -> dict[str, Any]:
        broken = self.kernel.broken
        if nth < ALLOCATIONS or "endless" in broken:
            if "half done" in broken:
                self.do(op, args)
            if op == "scan":  # it tells errors, and goes on
                number = errno.EIO if "wrong errno" in broken else errno.ENOMEM
                errors = [[args["sector"], args["count"], number]]
                return {"result": {"runs": [], "next": None, "errors": errors}, "left": 0}
            raise Refused(errno.EIO if "wrong errno" in broken else errno.ENOMEM, op)
        return {"result": self.do(op, args), "left": nth - ALLOCATIONS}

    def op_coverage(self) -> dict[str, Any]:
        if "blksnap_coverage" not in self.kernel.loaded:
            raise Refused(errno.ENOENT, "blksnap_coverage")
        return {"deflated": base64.b64encode(zlib.compress(b"counters")).decode()}

    def op_memory_counters(self) -> dict[str, Any]:
        if "no counters" in self.kernel.broken:
            raise Refused(errno.ENOENT, "memory")
        return {"counters": self.kernel.counters()}

    def op_device_info(self, path: str) -> dict[str, Any]:
        image = self.kernel.image(path)
        device = image.device if image is not None else self.kernel.find(path)
        sectors = device.sectors - (image is not None and "image too short" in self.kernel.broken)
        return {"size": sectors * 512, "major": device.number[0], "minor": device.number[1]}

    def op_wait_path(self, path: str, timeout: float, gone: bool) -> None:
        if self.kernel.image(path) is None:
            raise Refused(errno.ETIMEDOUT, path)

    def op_write(
        self, path: str, tag: int, writes: list[list[int]], how: str, **_: object
    ) -> dict[str, Any]:
        errors: list[list[int]] = []
        for place, (sector, count, seq) in enumerate(writes):
            if "nowait" in how and self.kernel.would_wait(path, sector, count):
                errors.append([place, errno.EAGAIN])
                if "refused writes are done" not in self.kernel.broken:
                    continue
            self.kernel.write(path, tag, sector, count, seq)
        return {"written": len(writes) - len(errors), "errors": errors}

    def op_zero(self, path: str, ranges: list[list[int]], how: str) -> None:
        for sector, count in ranges:
            self.kernel.clear(path, sector, count)

    def op_scan(self, path: str, sector: int, count: int, **_: object) -> dict[str, Any]:
        try:
            cells = self.kernel.read(path, sector, count)
        except Refused as refused:
            return {
                "runs": [],
                "next": None,
                "errors": [[sector, count, refused.errno]],
                "passing": [],
            }
        runs: list[list[Any]] = []
        for place, cell in enumerate(cells, sector):
            kind = "zero" if cell is None else "stamp"
            tag, seq, origin = cell or (None, None, None)
            last = runs[-1] if runs else None
            same = last is not None and last[2:5] == [kind, tag, seq]
            if same and (origin is None or last[5] + last[1] == origin):  # type: ignore[index]
                last[1] += 1  # type: ignore[index]
            else:
                runs.append([place, 1, kind, tag, seq, origin])
        return {"runs": runs, "next": None, "errors": [], "passing": []}

    def op_tracker_collect(self) -> dict[str, Any]:
        dead = {"device_id": [7, 9], "path": None, "generation": str(UUID(int=0)), "gone": True}
        numbers = dict.fromkeys(("block_size", "capacity", "block_count", "number"), 0)
        if "dead tracker with a number" in self.kernel.broken:
            numbers["number"] = 3
        return {
            "trackers": [dead | numbers] * any("dead tracker" in one for one in self.kernel.broken)
            + [
                {
                    "device_id": list(one.device.number),
                    "path": one.device.path,
                    "block_size": 65536,
                    "capacity": one.device.sectors * 512,
                    "block_count": len(one.read_map),
                    "generation": one.generation,
                    "number": one.previous,
                    "gone": False,
                }
                for one in self.kernel.trackers.values()
            ]
        }

    def op_tracker_remove(self, device: str) -> None:
        self.kernel.remove_tracker(device)

    def op_read_cbt(self, device: str, offset: int, length: int) -> dict[str, Any]:
        tracker = self.kernel.trackers[device]
        if tracker.damaged and "lost map is readable" not in self.kernel.broken:
            raise Refused(errno.EFAULT, "an update failed")
        short = "map cut short" in self.kernel.broken
        data = tracker.read_map[: len(tracker.read_map) - short][offset : offset + length]
        runs = [[offset + n, 1, value] for n, value in enumerate(data)]
        return {"runs": runs, "blocks": len(runs), "next": None}

    def op_snapshot_create(self, devices: list[str]) -> dict[str, Any]:
        begin = self.kernel.tick()
        return {
            "id": self.kernel.create(devices),
            "begin_ns": begin,
            "end_ns": self.kernel.tick(),
        }

    def op_append_storage(self, id: str, device: str, ranges: list[list[int]]) -> dict[str, Any]:
        self.kernel.known(id).capacity += sum(count for _, count in ranges)
        return {"done_ns": self.kernel.tick()}

    def op_snapshot_take(self, id: str) -> dict[str, Any]:
        begin = self.kernel.tick()
        self.kernel.take(id)
        return {"begin_ns": begin, "end_ns": self.kernel.tick()}

    def op_snapshot_destroy(self, id: str) -> None:
        self.kernel.destroy(id)

    def op_snapshot_collect(self) -> dict[str, Any]:
        return {"ids": list(self.kernel.snapshots)}

    def op_collect_images(self, id: str) -> dict[str, Any]:
        return {
            "images": [
                {
                    "original": list(image.device.number),
                    "image": [250, image.minor],
                    "original_path": image.device.path,
                    "path": image.path,
                }
                for image in self.kernel.known(id).images
            ]
        }

    def op_wait_event(self, id: str, timeout_ms: int) -> dict[str, Any]:
        events = self.kernel.known(id).events
        while timeout_ms > 10_000 and not events:
            time.sleep(0.01)
            if id not in self.kernel.snapshots:
                if "waiters are told nothing" in self.kernel.broken:
                    break
                raise Refused(errno.ESRCH, "destroyed")
        begin = self.kernel.tick()
        if not events:
            jiffies = 4 if "waits in jiffies" in self.kernel.broken else 1
            self.kernel.time += timeout_ms * jiffies * 1_000_000
            self.kernel.time -= 2_000_000 * ("wakes early" in self.kernel.broken)
        event = events.pop(0) if events else None
        return {"event": event, "begin_ns": begin, "end_ns": self.kernel.tick()}


@dataclass(frozen=True)
class FakeIdentity:
    kernel_release: str = "6.1.0-fake"
    accel: str = "none"
    module: str = "0123"


@dataclass
class FakeTemplate:
    """Makes FakeGuests, all broken in the same way; remembers them."""

    broken: frozenset[str] = frozenset()
    misfortunes: tuple[Misfortune, ...] = ()
    identity: FakeIdentity = FakeIdentity()
    module: BuiltModule | None = None
    guests: list[FakeGuest] = field(default_factory=list)
    on_request: Callable[[str], object] = lambda _op: None
    keepable: list[bool] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)

    def keep(self, guest: FakeGuest, folder: Path) -> None:
        assert guest is self.guests[-1]
        folder.mkdir()
        self.kept.append(folder)

    @contextmanager
    def clone(
        self, disks: Sequence[DiskSpec], folder: Path, *, keepable: bool = False
    ) -> Iterator[FakeGuest]:
        self.keepable.append(keepable)
        paths = {disk.name: f"/dev/vd{chr(ord('b') + n)}" for n, disk in enumerate(disks)}
        kernel = FakeKernel({paths[disk.name]: disk.size for disk in disks}, self.broken)
        guest = FakeGuest(
            FakeMachine(folder / "console.log"),
            {disk.name: FakeDisk(disk.name, paths[disk.name], disk.size) for disk in disks},
            kernel,
            list(self.misfortunes),
            self.on_request,
        )
        self.guests.append(guest)
        try:
            yield guest
        finally:
            guest.power_cut()

"""The kernel log: which lines are reports of a bug, and where each report begins and ends.

A report ("splat") starts with a header that the kernel prints for one kind of trouble and goes on
with registers and a call trace. Two sources give the same lines: the agent's reading of /dev/kmsg
while the guest lives, and the serial console, kept by QEMU in a file, when it does not.

Header texts are those of the kernel's own sources (lib/dump_stack.c, kernel/panic.c,
kernel/locking/lockdep.c, kernel/rcu/tree_stall.h, kernel/hung_task.c, lib/ubsan.c, mm/kasan,
mm/kmemleak.c, lib/refcount.c, lib/list_debug.c, kernel/watchdog.c, mm/slub.c), 5.10 to 6.12.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

TRACE_LIMIT = 120
"""Lines kept of one report."""


class SplatKind(StrEnum):
    """What kind of trouble a report is about."""

    PANIC = "panic"
    KASAN = "KASAN"
    KCSAN = "KCSAN"
    KFENCE = "KFENCE"
    UBSAN = "UBSAN"
    LOCKDEP = "lockdep"
    RCU = "RCU"
    SLEEPING = "sleeping function"
    LIST = "list corruption"
    REFCOUNT = "refcount"
    SLAB = "slab corruption"
    KMEMLEAK = "kmemleak"
    MODULE_LEAK = "module leak"
    HUNG_TASK = "hung task"
    LOCKUP = "lockup"
    ALLOCATION = "allocation failure"
    OOM = "out of memory"
    OOPS = "Oops"
    BUG = "BUG"
    WARNING = "WARNING"
    TRACE = "call trace"


@dataclass(frozen=True)
class LogLine:
    """One line of the kernel log; `level` 0 (emergency) .. 7 (debug), None on the console.

    expected: said while a step ran that was meant to fail.
    """

    text: str
    level: int | None = None
    time_us: int | None = None
    seq: int | None = None
    expected: bool = False

    def __str__(self) -> str:
        level = f"<{self.level}>" if self.level is not None else ""
        return f"{level}{self.said}"

    @property
    def said(self) -> str:
        """The line as a console shows it."""
        stamp = f"[{self.time_us / 1e6:12.6f}] " if self.time_us is not None else ""
        return f"{stamp}{self.text}"


@dataclass(frozen=True)
class Splat:
    """One report of a bug: its kind, its first line, and all of its lines."""

    kind: SplatKind
    headline: str
    trace: tuple[str, ...]


_HEADERS: tuple[tuple[SplatKind, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        (SplatKind.PANIC, r"Kernel panic - not syncing"),
        (SplatKind.KASAN, r"BUG: KASAN:|KASAN: .*(?:range|nullptr|null-ptr)"),
        (SplatKind.KCSAN, r"BUG: KCSAN:"),
        (SplatKind.KFENCE, r"BUG: KFENCE:"),
        (SplatKind.UBSAN, r"UBSAN:"),
        (SplatKind.SLEEPING, r"BUG: sleeping function called|BUG: scheduling while atomic"),
        (
            SplatKind.LOCKDEP,
            r"WARNING: (?:possible|inconsistent|bad unlock|held lock|lock held|bad contention|"
            r"nested lock|HARDIRQ-|SOFTIRQ-|\S+-safe -> |\S+ lock order inversion)"
            r"|BUG: (?:held lock freed|lock held|workqueue leaked lock|MAX_LOCK|looking up invalid)"
            r"|INFO: possible recursive locking|INFO: trying to register non-static key"
            r"|DEBUG_LOCKS_WARN_ON|possible circular locking dependency"
            r"|process .* (?:leaked|still has locks)|Invalid wait context|INVALID wait context"
            r"|BUG: Invalid wait context",
        ),
        (
            SplatKind.RCU,
            r"rcu.*detected (?:expedited )?stalls?|rcu.*self-detected stall|rcu.*kthread starved"
            r"|suspicious RCU usage|context switch within RCU read-side|INFO: rcu_tasks detected",
        ),
        (SplatKind.LIST, r"list_(?:add|del)\b.*(?:corruption|double add)|plist.*corrupt"),
        (SplatKind.REFCOUNT, r"refcount_t: "),
        (
            SplatKind.SLAB,
            r"^BUG \S+ \(|Slab corruption|Object already free|BUG: Bad (?:page|rss-counter)"
            r"|Freepointer corrupt|Wrong slab cache|Objects remaining in \S+ on|ODEBUG:"
            r"|slab .*(?:Slab cache still has objects|kmem_cache_destroy)",
        ),
        (SplatKind.KMEMLEAK, r"kmemleak: \d+ new suspected memory leaks"),
        # Of whatever module: it counts what it allocates, and that is more than it frees.
        (SplatKind.MODULE_LEAK, r"(?i)^(?!kmemleak)[a-z][-\w]*: .*\bleak"),
        (SplatKind.HUNG_TASK, r"INFO: task .* blocked for more than"),
        (SplatKind.LOCKUP, r"BUG: soft lockup|[Hh]ard LOCKUP|BUG: workqueue lockup"),
        (SplatKind.ALLOCATION, r"page allocation failure: order|page allocation stalls for"),
        (SplatKind.OOM, r"invoked oom-killer|Out of memory: Kill"),
        (
            SplatKind.OOPS,
            r"^Oops: |^Oops\b.*\[#|BUG: kernel NULL pointer|BUG: unable to handle"
            r"|BUG: stack guard page|general protection fault|divide error: 0000"
            r"|invalid opcode: 0000|stack segment: 0000|int3: 0000|double fault|Unable to handle",
        ),
        (SplatKind.BUG, r"kernel BUG at|^BUG[: ]|\] BUG: "),
        (SplatKind.WARNING, r"^WARNING: |\bWARNING: CPU"),
    )
)

_CALL_TRACE = re.compile(r"^\s*Call Trace:")
_END = re.compile(r"---\[ end (?:trace|Kernel panic)")
_RULE = re.compile(r"^={20,}$")
_PART = re.compile(
    r"^(?:\s|$|CPU: |Hardware name:|R(?:IP|SP|AX|BX|CX|DX|SI|DI|BP|0\d|1\d)[: ]|R\d+: |Code: |FS: "
    r"|CS: |CR2: |DR\d|PKRU: |Call Trace:|Modules linked in:|Workqueue:|Oops: |#PF: |PGD |EFLAGS:"
    r"|irq event stamp|hardirqs |softirqs |---\[|(?:Read|Write|Free) of (?:size|addr)|Allocated by"
    r"|Freed by|Last potentially|The buggy address|Memory state|[=-]{10,}|task:|Comm: |Tainted:"
    r"|page:|raw:|flags: |head:|kernel BUG at|invalid opcode|general protection|Kernel panic"
    r"|Kernel Offset|but task|which lock|other info|stack backtrace|\d+ locks? held|no locks held"
    r"|Possible unsafe|Object |Redzone|Padding|Slab |INFO: (?:Allocated|Freed|Slab|Object)|NMI "
    r"|Showing busy workqueues|workqueue \S+: flags|pool \d+: "
    r"|in_atomic\(\): |preempt_count: |RCU nest depth: |Preemption disabled at:"
    r"|Sending NMI|rcu: |value |Mem-Info|Node |\S+: \d+ pages|list_(?:add|del)|note: |refcount_t)"
)
_CONTINUES = {SplatKind.PANIC, SplatKind.OOPS}
"""Headers that also occur inside a report: there they belong to it."""
_CONSOLE = re.compile(r"^(?:<(\d)>)?\[\s*(\d+)\.(\d{6})\](?:\[[^\]]*\])? ?(.*)$")
_SPOILED = re.compile(r"^[-\w]+: image of (\d+):(\d+) is spoiled: error (\d+)$")
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def classify(text: str) -> SplatKind | None:
    """The kind of report that a line of the kernel log begins, None for an ordinary line."""
    for kind, pattern in _HEADERS:
        if pattern.search(text):
            return kind
    return None


@dataclass
class _Open:
    """A report that is being read."""

    kind: SplatKind
    headline: str
    lines: list[str]
    strange: int = 0
    ended: bool = False

    def takes(self, text: str) -> bool:
        """True if the line belongs to this report; two lines in a row that do not, end it."""
        if self.ended or len(self.lines) >= TRACE_LIMIT:
            return False
        if self.kind is SplatKind.KCSAN and _RULE.match(text):
            # Of a race between others nothing may be taken that comes after it.
            self.ended = True
            return True
        kind = classify(text)
        if kind is not None and kind not in _CONTINUES and not self._detail_of_warning(kind):
            return False
        if kind is SplatKind.OOPS and self.strange >= 2:
            return False
        if kind is SplatKind.PANIC:
            self.kind = SplatKind.PANIC if self.kind is SplatKind.TRACE else self.kind
        if _END.search(text):
            self.ended = "end trace" in text and self.kind is SplatKind.WARNING
            return True
        self.strange = 0 if kind is not None or _PART.match(text) else self.strange + 1
        return self.strange < 2

    def _detail_of_warning(self, kind: SplatKind) -> bool:
        """True for e.g. list corruption, printed before or after the WARNING that it causes."""
        pair = {self.kind, kind}
        if SplatKind.WARNING in pair and pair & {SplatKind.LIST, SplatKind.REFCOUNT}:
            self.kind = next(iter(pair - {SplatKind.WARNING}))
            return True
        return SplatKind.LIST in pair and kind is SplatKind.BUG

    def close(self) -> Splat:
        """The report as far as it was seen."""
        return Splat(self.kind, self.headline, tuple(self.lines))


class SplatReader:
    """Finds the reports in lines that come one after the other."""

    def __init__(self) -> None:
        self.closed: list[Splat] = []
        """Those that no further line can belong to."""
        self._opened: _Open | None = None
        self._previous = ""

    def read(self, lines: Iterable[LogLine]) -> None:
        """What was said since the last call."""
        for line in lines:
            self._read_line(line)
            self._previous = line.text

    def _read_line(self, line: LogLine) -> None:
        if self._opened is not None and self._opened.takes(line.text):
            self._opened.lines.append(line.said)
            return
        kind = classify(line.text)
        if kind is None and _CALL_TRACE.match(line.text):
            kind = SplatKind.TRACE
        if kind is None:
            return
        self.closed += self.open
        headline = self._previous if kind is SplatKind.TRACE else line.text
        self._opened = _Open(kind, headline.strip(), [line.said])

    @property
    def open(self) -> list[Splat]:
        """The last one, if the next line may belong to it, as far as it was seen."""
        return [] if self._opened is None else [self._opened.close()]


def find_splats(lines: Iterable[LogLine]) -> list[Splat]:
    """All reports in `lines`, in order. A call trace that no known header begins counts too."""
    reader = SplatReader()
    reader.read(lines)
    return [*reader.closed, *reader.open]


_OF_MODULE = re.compile(r" \[([-\w]+)\]")
_BUILT_IN = re.compile(
    r"\b(?:(?:blk_filters?|bdev_filter)_\w+|mapped_(?:get|put|drain)|writes_drain)\b"
)
"""Functions of the filters in a patched kernel's block layer."""


_NVME_TARGET = "(work_completion)(&queue->release_work)"
"""What the kernel's target of NVMe over TCP holds when lockdep finds its order of locks circular:
before Linux 6.8 ("nvmet-tcp: avoid circular locking dependency on install_queue()") at each reset
of a controller. Lockdep is off from then on."""

_FLAGS_READER = re.compile(r"\bkthread_is_per_cpu\b")
"""Where the scheduler reads the flags of a task that runs, unmarked (seen on 6.1). That writes them
in memalloc_noio_save() and _restore(), which are inline in whoever calls them."""


def concerns(splat: Splat, modules: Sequence[str]) -> bool:
    """False for two kinds of reports in which these modules, and the filters that a patched kernel
    has in its block layer, have no part. All others concern everybody.

    A data race: KCSAN tells of each that it comes upon, and a kernel has many that do no harm. Its
    headline names the two functions, each with its module (kernel/kcsan/report.c), what they were
    called from does not matter. The scheduler's look at the flags of a task is the kernel's own
    affair. And what lockdep has to say of the target of NVMe over TCP.
    """
    if splat.kind is SplatKind.KCSAN and _FLAGS_READER.search(splat.headline):
        return False
    if splat.kind is SplatKind.KCSAN:
        said = splat.headline
    elif splat.kind is SplatKind.LOCKDEP and any(_NVME_TARGET in line for line in splat.trace):
        said = "\n".join(splat.trace)
    else:
        return True
    of_modules = not set(_OF_MODULE.findall(said)).isdisjoint(modules)
    return of_modules or _BUILT_IN.search(said) is not None


def panicked(lines: Iterable[LogLine]) -> bool:
    """True if the kernel said that it panics."""
    return any("Kernel panic - not syncing" in line.text for line in lines)


def parse_console(text: str) -> list[LogLine]:
    """The kernel's lines of a console file, without those that programs wrote."""
    lines: list[LogLine] = []
    for raw in _ANSI.sub("", text).replace("\r", "\n").split("\n"):
        match = _CONSOLE.match(raw)
        if match:
            level, seconds, micros, rest = match.groups()
            stamp = int(seconds) * 1_000_000 + int(micros)
            lines.append(LogLine(rest, int(level) if level else None, stamp))
    return lines


def module_complaints(lines: Sequence[LogLine], names: Sequence[str]) -> list[LogLine]:
    """Lines of the module above info level, which a normal run must not have (K36).

    names: what its lines begin with.
    """
    ours = re.compile(rf"(?:{'|'.join(map(re.escape, names))})[-\w]*: ")
    return [
        line
        for line in lines
        if line.level is not None
        and line.level <= 5
        and ours.match(line.text)
        and "taint" not in line.text
        and classify(line.text) is None
    ]


def tells_spoiled(line: LogLine) -> bool:
    """True if it is the module's line of a spoiled image."""
    return _SPOILED.search(line.text) is not None


def spoiled_images(lines: Iterable[LogLine]) -> list[tuple[int, int, int]]:
    """(major, minor, errno) of each image that a line of the module says is spoiled, sorted."""
    found = (_SPOILED.search(line.text) for line in lines)
    return sorted((int(one[1]), int(one[2]), int(one[3])) for one in found if one is not None)


_DEVICE_ERRORS = tuple(
    re.compile(pattern)
    for pattern in (
        # block/blk-mq.c, blk-core.c: "I/O error, dev vdb, sector 8 op ..." and its like.
        r"\berror, dev (\S+), sector",
        # fs/buffer.c
        r"^Buffer I/O error on dev(?:ice)? (\S+),",
        # fs/ext4/super.c, fs/jbd2: "EXT4-fs error (device vdb): ...", "... for vdb-8"
        r"^EXT4-fs error \(device (\S+)\)",
        r"^EXT4-fs \((\S+)\): .*\berror\b",
        r"^JBD2: .*\berror.* (\S+)-\d+\.?$",
        r"^Aborting journal on device (\S+)-\d+\.?$",
        # fs/xfs/xfs_message.c, fs/btrfs/messages.c, fs/f2fs
        r"^XFS \((\S+)\): .*(?:\berror\b|[Ss]hutdown|Corruption)",
        r"^BTRFS:? (?:error|critical) \(device ([^\s:)]+)",
        r"^F2FS-fs \((\S+)\): .*(?:error|[Cc]heckpoint stopped)",
    )
)
"""Lines of the kernel on I/O that failed, or on what came of it in a file system; group 1: device.

Not the lines of a full file system, nor of one that is not what it was thought to be.
"""


def device_errors(lines: Iterable[LogLine]) -> list[tuple[str, LogLine]]:
    """Device (its name in /sys/class/block) and line of each I/O that the kernel says failed."""
    found = []
    for line in lines:
        matches = (pattern.search(line.text) for pattern in _DEVICE_ERRORS)
        found += [(match[1], line) for match in matches if match][:1]
    return found

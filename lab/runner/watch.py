"""Follows the kernel log of one guest from its mark on, and judges it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab.guest.channel import AgentFailure
from lab.runner.klog import (
    LogLine,
    Splat,
    SplatKind,
    SplatReader,
    classify,
    concerns,
    find_splats,
    panicked,
    parse_console,
)
from lab.runner.ports import Guest
from lab.runner.verdict import Finding, Verdict

POLL_EVERY = 1.0
"""Seconds between two looks at the log while steps go on."""
POLL_TIMEOUT = 20.0


class KernelLog:
    """Lines of the kernel log since the mark; each report is told once.

    patience: the limit of each look is stretched by it, see Deadline. modules: whose data races
    are judged, the kernel has many of its own.
    """

    def __init__(self, patience: float = 1.0, modules: Sequence[str] = ()) -> None:
        self._modules = modules
        self._limit = POLL_TIMEOUT * patience
        self.lines: list[LogLine] = []
        self._mark = ""
        self._boot = 0
        self._next = 0
        self._reader = SplatReader()
        self._read = 0
        self._concerning: list[Splat] = []
        self._told = 0
        self._lost = 0
        self._polled = 0.0
        self._expecting = False

    def mark(self, guest: Guest, text: str) -> None:
        """Begin here: what the kernel said before is not judged."""
        answer = guest.channel.request("klog_mark", {"text": text}, self._limit)
        self._next = int(answer["seq"]) + 1
        self._mark = text

    def restarted(self, console: Path) -> None:
        """Another kernel runs now; its records are numbered from the start.

        `console` is that of the one before: what it said at its end nobody could ask it for.
        """
        last = console_lines(console)
        marked = [n for n, line in enumerate(last) if line.text == self._mark]
        last = last[marked[-1] + 1 :] if marked else last
        if len(find_splats(last)) > len(find_splats(self.lines[self._boot :])):
            self.lines[self._boot :] = last
            self._read_again()
        self._boot = len(self.lines)
        self._next = 0

    def poll(self, guest: Guest) -> None:
        """Fetch what is new. Raises what the channel raises."""
        while True:
            answer = guest.channel.request("kmsg", {"since_seq": self._next}, self._limit)
            for record in answer["records"]:
                self.lines += _record_lines(record, self._expecting)
            self._next = int(answer["next_seq"])
            self._lost += int(answer["lost"])
            if not answer["more"]:
                break
        self._polled = time.monotonic()

    @contextmanager
    def expecting(self, guest: Guest) -> Iterator[None]:
        """What is said within comes of a step that is meant to fail, in whatever way it ends.

        Raises what the channel raises.
        """
        self.poll(guest)
        self._expecting = True
        try:
            yield
        except AgentFailure:
            self.poll(guest)
            raise
        else:
            self.poll(guest)
        finally:
            self._expecting = False

    def forget(self, kind: SplatKind) -> None:
        """Reports of this kind that were not judged yet are none."""
        self.lines = [line for line in self.lines if classify(line.text) is not kind]
        self._read_again()

    def due(self) -> bool:
        """True if the last look is a while ago."""
        return time.monotonic() - self._polled >= POLL_EVERY

    @property
    def splats(self) -> list[Splat]:
        """All reports so far, but for data races of others. Each line is read once: there may be
        very many."""
        reader, before = self._reader, len(self._reader.closed)
        reader.read(self.lines[self._read :])
        self._read = len(self.lines)
        self._concerning += self._ours(reader.closed[before:])
        return [*self._concerning, *self._ours(reader.open)]

    def _ours(self, splats: Sequence[Splat]) -> list[Splat]:
        return [one for one in splats if concerns(one, self._modules)]

    def _read_again(self) -> None:
        """Lines that were read are others now."""
        self._reader, self._read, self._concerning = SplatReader(), 0, []

    def judge(self, where: str) -> list[Finding]:
        """One finding for each report that was not told before, one for what nobody can judge."""
        splats = self.splats
        fresh, self._told = splats[self._told :], len(splats)
        found = [splat_finding(splat, where) for splat in fresh]
        lost, self._lost = self._lost, 0
        return [*found, _lost_finding(lost, where)] if lost else found


def splat_finding(splat: Splat, where: str) -> Finding:
    """The finding for a report of the kernel."""
    said = splat.headline
    what = said if said.startswith(splat.kind) else f"{splat.kind}: {said}"
    verdict = Verdict.PANIC if panicked(map(LogLine, splat.trace)) else Verdict.SPLAT
    return Finding(verdict, where, what, splat.trace)


def _lost_finding(count: int, where: str) -> Finding:
    """The lab has not seen all that the kernel said, so it cannot say that there was no report."""
    what = (
        f"{count} records of the kernel log were overwritten before they were read, perhaps reports"
        " of a bug; kernel.log has the rest, console.log what went to the console"
    )
    return Finding(Verdict.ERROR, where, what)


def console_lines(console: Path) -> list[LogLine]:
    """What the kernel wrote to the console; nothing if there is no file."""
    try:
        return parse_console(console.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return []


def last_lines(lines: Sequence[LogLine], count: int) -> tuple[str, ...]:
    """The end of a log as text."""
    return tuple(str(line) for line in lines[-count:])


def _record_lines(record: dict[str, object], expected: bool) -> list[LogLine]:
    def number(key: str) -> int | None:
        value = record.get(key)
        return value if isinstance(value, int) else None

    return [
        LogLine(text, number("level"), number("time_us"), number("seq"), expected)
        for text in str(record["text"]).split("\n")
    ]

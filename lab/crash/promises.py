"""What a disk has promised to its writer, and whether the log shows that it was kept.

The writer is one thread that numbers its writes in the order in which it issues them, and issues
some of them only after earlier ones were acknowledged as safe. So the log itself shows when a
promise was given, and no clock is needed: as soon as a later write stands in it, the earlier one
must be safe in every state that a power cut may leave from there on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from lab import stamp
from lab.crash.log import Entry, Flag, WriteLog

SHOWN = 40


@dataclass(frozen=True)
class Promise:
    """Write `seq` is safe before any write with a number above `after` is issued."""

    seq: int
    sector: int
    count: int
    after: int


@dataclass
class _Media:
    """Number of the last write of each sector: on the media for sure, and perhaps."""

    safe: dict[int, int] = field(default_factory=dict)
    pending: dict[int, int] = field(default_factory=dict)
    blank: set[int] = field(default_factory=set)
    """Zeroed or discarded since."""

    def flush(self) -> None:
        self.safe |= self.pending
        self.pending.clear()

    def newest(self, sector: int) -> int:
        return self.pending.get(sector, self.safe.get(sector, 0))

    def unkept(self, promise: Promise) -> Iterator[int]:
        """Sectors of a promised write that a power cut now could leave without it."""
        for sector in range(promise.sector, promise.sector + promise.count):
            if sector not in self.blank and self.safe.get(sector, 0) < promise.seq:
                yield sector


def unkept(
    log: WriteLog,
    tag: int,
    promises: Sequence[Promise],
    acknowledged: int,
    name: Callable[[int], str] = lambda seq: f"write {seq}",
) -> list[str]:
    """All that is wrong with a log of stamped writes of one tag, in words.

    Promises with `after` up to `acknowledged` were given by the end of the log, whatever stands
    in it. name: says which write a number is.
    """
    media, wrong, newest = _Media(), [], 0
    left = sorted(promises, key=lambda promise: -promise.after)

    def judge(upto: int, where: str) -> None:
        while left and left[-1].after <= upto:
            promise = left.pop()
            lost = list(media.unkept(promise))
            if lost:
                wrong.append(
                    f"{where}: a power cut may lose {len(lost)} of {promise.count} sectors of "
                    f"{name(promise.seq)}, which was acknowledged as safe, first sector {lost[0]}"
                )

    for place, entry in enumerate(log.entries):
        if entry.flags & Flag.FLUSH:
            media.flush()
        if not entry.writes:
            continue
        where = f"entry {place} (sectors {entry.sector}+{entry.count})"
        runs = stamp.scan(log.data(entry), entry.sector)
        numbers = [run.seq for run in runs if run.seq is not None]
        if numbers:
            newest = max(newest, *numbers)
            judge(newest - 1, where)
        wrong += [f"{where}: {what}" for what in _land(media, entry, runs, tag, name)]
    judge(acknowledged, "end of the log")
    return wrong


def _land(
    media: _Media, entry: Entry, runs: Sequence[stamp.Run], tag: int, name: Callable[[int], str]
) -> Iterator[str]:
    """Put an entry on the media; what is wrong with it."""
    target = media.safe if entry.flags & Flag.FUA else media.pending
    for run in runs:
        sectors = range(run.sector, run.sector + run.count)
        if run.kind is stamp.Kind.ZERO:
            media.blank.update(sectors)
            continue
        if run.seq is None or run.tag != tag or run.origin != run.sector:
            yield f"sectors {run.sector}+{run.count} hold no stamp of this disk: {run}"
            continue
        older = [sector for sector in sectors if media.newest(sector) > run.seq]
        if older:
            yield (
                f"{name(run.seq)} comes after {name(media.newest(older[0]))}, which was issued "
                f"later, at sector {older[0]}"
            )
        for sector in sectors:
            target[sector] = run.seq
            media.blank.discard(sector)
            if target is media.safe:
                media.pending.pop(sector, None)


Epoch = frozenset[tuple[int, tuple[tuple[int, bool], ...]]]
"""Per sector the writes between two flushes in their order: (number of the write, FUA); 0: no
stamp."""


def epochs(log: WriteLog) -> list[Epoch]:
    """What is pending between each two flushes, by sector; the first write is number 1.

    Two disks with equal epochs have equal sets of crash states. An epoch without writes leaves no
    state that its neighbours do not leave, and is left out. The order of writes to different
    sectors within an epoch does not matter: any subset of them may survive.
    """
    parts: list[dict[int, list[tuple[int, bool]]]] = [{}]
    for entry in log.entries:
        if entry.flags & Flag.FLUSH and parts[-1]:
            parts.append({})
        if not entry.writes:
            continue
        for run in stamp.scan(log.data(entry), entry.sector):
            for sector in range(run.sector, run.sector + run.count):
                write = (run.seq or 0, bool(entry.flags & Flag.FUA))
                parts[-1].setdefault(sector, []).append(write)
    numbers = {seq for part in parts for writes in part.values() for seq, _ in writes if seq}
    base = min(numbers, default=1) - 1
    return [
        frozenset(
            (sector, tuple((seq - base if seq else 0, fua) for seq, fua in writes))
            for sector, writes in part.items()
        )
        for part in parts
        if part
    ]


def first_difference(ours: Sequence[Epoch], theirs: Sequence[Epoch]) -> str | None:
    """Where two disks first differ in what may be lost together; None if nowhere."""
    for place in range(max(len(ours), len(theirs))):
        one, other = (
            dict(epochs_[place]) if place < len(epochs_) else {} for epochs_ in (ours, theirs)
        )
        for sector in sorted(one.keys() | other.keys()):
            if one.get(sector) != other.get(sector):
                return (
                    f"between flushes {place} and {place + 1} sector {sector} gets "
                    f"{_spelt(one.get(sector))}; must get {_spelt(other.get(sector))}"
                )
    return None


def _spelt(writes: tuple[tuple[int, bool], ...] | None) -> str:
    if writes is None:
        return "no write"
    return ", then ".join(f"write {n}{' with FUA' if fua else ''}" for n, fua in writes)

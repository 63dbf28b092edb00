"""The rounds: each brings the guest into every state once, and measures there.

No state leaves anything behind for the next. Every second round goes the other way round, so that
what changes slowly favours nobody.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from lab.bench.bench_guest import BenchGuest, Job
from lab.bench.figures import IO, Pattern, Round, State
from lab.units import GIB, KIB, MIB, TIB

CHUNK = 256 * KIB
# Each pattern has a half of the original for itself: a first write meets no copy of the other.
HALF = 128 * MIB
ORIGINAL_SIZE = 2 * HALF
# Room for all of the original, and for what dm-snapshot writes of its own.
STORE_SIZE = ORIGINAL_SIZE + 64 * MIB
OTHER_SIZE = 16 * MIB
CACHED = 32 * MIB
TAKE_STORE = 16 * MIB
TAKES = 4

TRANSIENT = (State.TRANSIENT_FIRST, State.TRANSIENT_AGAIN)
PERSISTENT = (State.PERSISTENT_FIRST, State.PERSISTENT_AGAIN)
HELD = (
    State.FIRST,
    State.REWRITE,
    State.ORIGINAL,
    State.IMAGE,
    State.IMAGE_COPIED,
    State.ORIGINAL_CACHED,
    State.IMAGE_CACHED,
)
"""What is measured while a snapshot is held."""

# Seconds by pattern; Round without the state.
_Pair = dict[Pattern, float]


@dataclass(frozen=True)
class Disks:
    """The guest's paths: what is written to, the difference storage, and a disk besides."""

    original: str
    store: str
    other: str


@dataclass(frozen=True)
class Bench:
    """A guest with its disks, and how many requests are under way at a time.

    `repeat`: passes over the same blocks where nothing is copied, and time is short. `keeps`: the
    disks keep what is written to them. `wanted`: what is to be measured.
    """

    guest: BenchGuest
    disks: Disks
    depth: int = 1
    repeat: int = 4
    keeps: bool = True
    wanted: frozenset[State] = frozenset(State)

    def wants(self, *states: State) -> bool:
        """Whether any of these is to be measured."""
        return not self.wanted.isdisjoint(states)

    def job(self, pattern: Pattern, passes: int = 1) -> Job:
        """Random: one block in every chunk, so each is the first of its chunk."""
        if pattern is Pattern.RANDOM:
            job = Job(4 * KIB, HALF // CHUNK, CHUNK, seed=20)
        else:
            job = Job(MIB, HALF // MIB, MIB, start=HALF)
        return replace(job, depth=self.depth, passes=passes)

    def writes(self, path: str, passes: int = 1) -> _Pair:
        """Seconds of a write, by pattern."""
        return {one: self.guest.write(path, self.job(one, passes)) for one in IO}

    def reads(self, path: str) -> _Pair:
        """Seconds of a direct read, by pattern."""
        return {one: self.guest.read(path, self.job(one, self.repeat)) for one in IO}

    def cached(self, path: str) -> _Pair:
        """Seconds of a read from the page cache, by pattern."""
        found = {}
        for one in IO:
            job = self.job(one)
            job = replace(job, count=CACHED // job.stride, depth=1, passes=self.repeat)
            found[one] = self.guest.read(path, job, cached=True)
        return found


def fill(bench: Bench) -> None:
    """Write the disks once, so that no later write has to make room for itself below."""
    job = Job(MIB, ORIGINAL_SIZE // MIB, MIB)
    bench.guest.write(bench.disks.original, job)
    bench.guest.write(bench.disks.store, replace(job, count=STORE_SIZE // MIB))


def measure(
    bench: Bench, count: int, told: Callable[[int, str], None] = lambda _number, _what: None
) -> tuple[Round, ...]:
    """So many rounds; `told` is called with the number of the round and what comes next.

    What is not wanted is measured only where it is on the way to what is.
    """
    all_parts: Sequence[
        tuple[str, Callable[[Bench], Iterator[tuple[State, _Pair]]], tuple[State, ...]]
    ] = (
        ("no module", _bare, (State.BARE, State.BARE_READ)),
        ("dm-snapshot", _mapper, (*TRANSIENT, *PERSISTENT)),
        ("module", _module, (State.HOOKED, State.TRACKED, State.TRACKED_READ, *HELD)),
        ("take", _takes, (State.TAKE_SMALL, State.TAKE_LARGE)),
    )
    parts = [(what, part) for what, part, states in all_parts if bench.wants(*states)]
    rounds = []
    for number in range(count):
        found: dict[tuple[State, Pattern], float] = {}
        for what, part in parts if number % 2 == 0 else tuple(reversed(parts)):
            told(number, what)
            for state, pair in part(bench):
                found |= {(state, pattern): seconds for pattern, seconds in pair.items()}
        rounds.append(found)
    return tuple(rounds)


def _bare(bench: Bench) -> Iterator[tuple[State, _Pair]]:
    yield State.BARE, bench.writes(bench.disks.original, bench.repeat)
    if bench.wants(State.BARE_READ):
        yield State.BARE_READ, bench.reads(bench.disks.original)


def _mapper(bench: Bench) -> Iterator[tuple[State, _Pair]]:
    guest, disks = bench.guest, bench.disks
    for kind, first, again in (
        ("N", State.TRANSIENT_FIRST, State.TRANSIENT_AGAIN),
        ("P", State.PERSISTENT_FIRST, State.PERSISTENT_AGAIN),
    ):
        if kind == "P" and not bench.keeps:
            continue  # It reads what it has written of its own.
        if not bench.wants(first, again):
            continue
        with guest.dm_snapshot(disks.original, disks.store, CHUNK, kind) as path:
            yield first, bench.writes(path)
            yield again, bench.writes(path, bench.repeat)


def _module(bench: Bench) -> Iterator[tuple[State, _Pair]]:
    guest, disks = bench.guest, bench.disks
    with guest.module():
        if bench.wants(State.HOOKED):
            with guest.tracked(disks.other):
                yield State.HOOKED, bench.writes(disks.original, bench.repeat)
        with guest.tracked(disks.original):
            yield State.TRACKED, bench.writes(disks.original, bench.repeat)
            if bench.wants(State.TRACKED_READ):
                yield State.TRACKED_READ, bench.reads(disks.original)
            if bench.wants(*HELD):
                with guest.held(disks.original, disks.store, STORE_SIZE) as (image, _):
                    yield from _held(bench, image)


def _held(bench: Bench, image: str) -> Iterator[tuple[State, _Pair]]:
    original = bench.disks.original
    if bench.wants(State.ORIGINAL, State.IMAGE, State.IMAGE_COPIED):
        yield State.ORIGINAL, bench.reads(original)
        yield State.IMAGE, bench.reads(image)
    yield State.FIRST, bench.writes(original)
    if bench.wants(State.REWRITE):
        yield State.REWRITE, bench.writes(original, bench.repeat)
    if bench.wants(State.IMAGE_COPIED):
        yield State.IMAGE_COPIED, bench.reads(image)
    if bench.wants(State.IMAGE_CACHED, State.ORIGINAL_CACHED):
        yield State.ORIGINAL_CACHED, bench.cached(original)
        yield State.IMAGE_CACHED, bench.cached(image)


def _takes(bench: Bench) -> Iterator[tuple[State, _Pair]]:
    guest = bench.guest
    with (
        guest.null_disk("small", GIB) as small,
        guest.null_disk("large", 64 * TIB) as large,
        guest.module(),
    ):
        for state, path in ((State.TAKE_SMALL, small), (State.TAKE_LARGE, large)):
            with guest.tracked(path):
                yield state, {Pattern.NONE: min(_take(bench, path) for _ in range(TAKES))}


def _take(bench: Bench, path: str) -> float:
    with bench.guest.held(path, bench.disks.store, TAKE_STORE) as (_, seconds):
        return seconds

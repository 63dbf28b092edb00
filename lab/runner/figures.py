"""What reports draw of a scenario and neither its steps nor its verdict say: figures.json.

    maps           the CBT map as it was last read after each take, in cells
    snapshots      each snapshot's life: events, storage given, how full it must have been
    latencies      of the writes of each load
    disagreements  pictures of what was wrong where

Nothing is asked of the guest for it: all of this is told by requests that are made anyway, or known
to the model. Times are seconds since the epoch; those of the guest are brought to the host's clock
by the answers that come with both.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lab.model.seen import LoadWrite, MapRun
from lab.runner.sampling import Latencies, cells_of

if TYPE_CHECKING:
    from lab.runner.context import Context, Snapshot

KEPT_MAPS = 96
"""Maps that are kept, the latest."""
KEPT_SNAPSHOTS = 24
"""Snapshots whose lives are kept: the first half and the latest."""
KEPT_FILLS = 512
"""Points that are kept of how full one snapshot was; then every other one is dropped."""


@dataclass
class Life:
    """A snapshot from its creation to its end; sectors.

    fill: [time, least, most]; given: [time, sectors]; events: [time, text].
    """

    name: str
    devices: tuple[str, ...]
    created: float
    portion: int
    taken: float | None = None
    ended: float | None = None
    fill: list[tuple[float, int, int]] = field(default_factory=list)
    given: list[tuple[float, int]] = field(default_factory=list)
    events: list[tuple[float, str]] = field(default_factory=list)

    def filled(self, at: float, least: int, most: int) -> None:
        """How full it was; a plateau is its two ends."""
        if len(self.fill) > 1 and self.fill[-1][1:] == self.fill[-2][1:] == (least, most):
            self.fill.pop()
        self.fill.append((at, least, most))
        if len(self.fill) > KEPT_FILLS:
            self.fill[1:-1] = self.fill[1:-1:2]

    def end(self, now: float) -> None:
        """It is gone; it was as full as before until then."""
        self.ended = now
        if self.fill:
            self.filled(now, *self.fill[-1][1:])

    def settle(self) -> None:
        """Put in order what was told late: a chunk that was copied stays copied, so less is what
        was not known yet."""
        least = most = 0
        for place, (at, low, high) in enumerate(sorted(self.fill)):
            least, most = max(least, low), max(most, high)
            self.fill[place] = (at, least, most)


@dataclass(frozen=True)
class MapRow:
    """A map as it was read; see MapState and cells_of. time: when it was read last."""

    device: str
    time: float
    takes: int
    generation: str
    number: int
    blocks: int
    block_size: int
    per_cell: int
    cells: list[list[int]]


class Figures:
    """Collects while a scenario runs; used by its thread only, but for clock()."""

    def __init__(self) -> None:
        self.maps: dict[tuple[str, str, int], MapRow] = {}
        self.maps_left_out = 0
        self.lives: list[Life] = []
        self.lives_left_out = 0
        self.latencies: dict[str, tuple[str, Latencies]] = {}
        self._living: dict[str, Life] = {}
        self._behind = 0.0
        self._clock = threading.Lock()

    def clock(self, answer: Mapping[str, Any]) -> None:
        """Learn from an answer how far the guest's clock is behind the host's.

        An answer comes late and never early, so the smallest difference is the best. Answers may
        come to several threads at a time.
        """
        told = answer.get("end_ns", answer.get("done_ns"))
        if isinstance(told, int):
            behind = time.time() - told / 1e9
            with self._clock:
                self._behind = min(behind, self._behind or behind)

    def booted(self) -> None:
        """The guest's clock is another one from now on."""
        self._behind = 0.0

    def host_time(self, guest_ns: int) -> float:
        """A time of the guest's clock as seconds since the epoch."""
        return round(self._behind + guest_ns / 1e9, 6)

    def map_read(self, context: Context, path: str, runs: Sequence[MapRun]) -> None:
        """The map of a device was read; of several readings after one take the last is kept."""
        name = next((one.name for one in context.devices.values() if one.path == path), "")
        state = context.model.map_state(name)
        if state is None:
            return
        key = (name, state.generation, state.takes)
        self.maps.pop(key, None)
        self.maps[key] = MapRow(name, time.time(), *state, *cells_of(runs, state.blocks))
        if len(self.maps) > KEPT_MAPS:
            del self.maps[next(iter(self.maps))]
            self.maps_left_out += 1

    def event(self, snapshot_id: str, guest_ns: int, text: str) -> None:
        """An event of a snapshot was received."""
        life = self._living.get(snapshot_id)
        if life is not None:
            life.events.append((self.host_time(guest_ns), text))

    def look(self, context: Context) -> None:
        """Take note of the snapshots there are; after each step and each check."""
        now = time.time()
        known = context.model.snapshots()
        there = {one.id: one for one in context.snapshots.values() if one.name in known}
        for identity in self._living.keys() - there.keys():
            self._living.pop(identity).end(now)
        for identity, living in there.items():
            life = self._living.get(identity) or self._begin(context, living, now)
            if living.taken and life.taken is None:
                life.taken = now
            _, least, most = context.model.fill(living.name)
            life.filled(now, least, most)
            given = context.model.storage_given(living.name)
            for at, sectors in given[len(life.given) :]:
                life.given.append((now if at is None else self.host_time(at), sectors))

    def _begin(self, context: Context, living: Snapshot, now: float) -> Life:
        life = Life(living.name, living.devices, now, context.model.portion())
        self._living[living.id] = life
        self.lives.append(life)
        if len(self.lives) > KEPT_SNAPSHOTS:
            del self.lives[KEPT_SNAPSHOTS // 2]
            self.lives_left_out += 1
        return life

    def load_wrote(self, context: Context, load: str, writes: Sequence[LoadWrite]) -> None:
        """Writes of a load that have ended, of which the model is told next."""
        device = context.model.writers_device(load)
        latencies = self.latencies.setdefault(load, (device, Latencies()))[1]
        for write in writes:
            if write.done is not None and write.errno == 0:
                latencies.add(self.host_time(write.done), (write.done - write.issued) / 1e9)
        for name, fills in context.model.fill_while(load, writes).items():
            life = self._living.get(context.snapshots[name].id)
            if life is not None:
                for at, least, most in fills:
                    life.filled(self.host_time(at), least, most)

    def record(self, context: Context) -> dict[str, object]:
        """All of it."""
        for life in self.lives:
            life.settle()
        return {
            "maps": list(self.maps.values()),
            "maps_left_out": self.maps_left_out,
            "snapshots": self.lives,
            "snapshots_left_out": self.lives_left_out,
            "latencies": [
                {
                    "load": name,
                    "device": device,
                    "slot": one.slot,
                    "first": one.first,
                    "longest": one.longest,
                    "counts": [[*place, count] for place, count in sorted(one.counts.items())],
                }
                for name, (device, one) in self.latencies.items()
                if one.counts
            ],
            "disagreements": context.model.pictures,
        }

"""Load "answer": what a backup tool does - append difference storage for each low-space event."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from lab import blksnap
from lab.agent.events import described
from lab.agent.loads.base import Load, load_kind
from lab.agent.typed import checked
from lab.errors import UsageError

_POLL_MS = 200
_UNIT = 8  # the module takes storage in multiples of 8 sectors


@dataclass(frozen=True)
class Piece:
    """Storage for one answer: ranges of a device, or a file of `size` bytes."""

    device: Optional[str] = None
    ranges: tuple[tuple[int, int], ...] = ()
    file: Optional[str] = None
    size: Optional[int] = None


def _piece(
    device: Optional[str] = None,
    ranges: Optional[list[tuple[int, int]]] = None,
    file: Optional[str] = None,
    size: Optional[int] = None,
) -> Piece:
    if (device is None) == (file is None) or (device is not None) != bool(ranges):
        raise UsageError("answer: a piece is {device, ranges} or {file, size}")
    return Piece(device, tuple(ranges or ()), file, size)


@load_kind("answer")
class Answer(Load):
    """Waits for events of snapshot `id` and answers each low-space one, `delay_ms` later.

    With exactly what is asked for: the next sectors of `device` from start_sector up to
    limit_sector, or a new file in `folder`; or with the next of `pieces`, whatever it asks for.
    Corrupted events are only reported. It ends by itself when the snapshot is destroyed.
    """

    def __init__(
        self,
        id: str,
        *,
        device: Optional[str] = None,
        start_sector: int = 0,
        limit_sector: Optional[int] = None,
        folder: Optional[str] = None,
        pieces: Optional[list[dict[str, Any]]] = None,
        delay_ms: int = 0,
    ) -> None:
        super().__init__()
        if sum(given is not None for given in (device, folder, pieces)) != 1:
            raise UsageError("answer: give one of device, folder and pieces")
        self._id = uuid.UUID(id)
        self._device, self._folder = device, folder
        self._place = start_sector
        self._limit = limit_sector
        self._pieces: Iterator[Piece] = iter(
            [_piece(**checked(_piece, one, "answer: pieces")) for one in pieces or []]
        )
        self._has_pieces = pieces is not None
        self._delay = delay_ms / 1000
        self._files = 0
        self._events: list[dict[str, Any]] = []
        self._appends: list[dict[str, Any]] = []
        self._refused: list[dict[str, Any]] = []

    def begin(self) -> None:
        if self._folder is not None:
            Path(self._folder).mkdir(parents=True, exist_ok=True)
        self.spawn(self._run)

    def _run(self) -> None:
        with blksnap.Control() as control:
            snapshot = control.snapshot(self._id)
            while not self.ending:
                try:
                    event = snapshot.wait_event(_POLL_MS)
                except blksnap.BlksnapError as error:
                    if error.errno == 3:  # ESRCH: destroyed, so there is nothing left to answer.
                        return
                    raise
                if event is None:
                    continue
                with self.lock:
                    self._events.append({**described(event), "seen_ns": time.monotonic_ns()})
                if isinstance(event, blksnap.LowFreeSpaceEvent):
                    self._wait_and_answer(snapshot, event.requested_sectors)

    def _wait_and_answer(self, snapshot: blksnap.Snapshot, sectors: int) -> None:
        if self.pause(self._delay):
            return
        try:
            piece = self._next_piece(-(-sectors // _UNIT) * _UNIT)
            appended = self._append(snapshot, piece)
        except (OSError, ValueError, UsageError) as error:
            number = error.errno if isinstance(error, OSError) else None
            with self.lock:
                self._refused.append(
                    {"errno": number, "why": str(error), "time_ns": time.monotonic_ns()}
                )
            return
        with self.lock:
            self._appends.append({**appended, "done_ns": time.monotonic_ns()})

    def _next_piece(self, sectors: int) -> Piece:
        if self._has_pieces:
            piece = next(self._pieces, None)
            if piece is None:
                raise UsageError("no piece is left")
            return piece
        if self._folder is not None:
            self._files += 1
            return Piece(file=f"{self._folder}/diff{self._files:05}", size=sectors * 512)
        start = self._place
        end = start + sectors
        if self._limit is not None:
            end = min(end, self._limit // _UNIT * _UNIT)
        if end <= start:
            raise UsageError(f"{self._device} is used up: sector {start} is the limit")
        self._place = end
        return Piece(device=self._device, ranges=((start, end - start),))

    @staticmethod
    def _append(snapshot: blksnap.Snapshot, piece: Piece) -> dict[str, Any]:
        if piece.file is not None:
            size = piece.size
            found = snapshot.append_file(piece.file, -(-size // 4096) * 4096 if size else None)
            device = found.device.path or str(found.device)
            return {"device": device, "ranges": [[one.sector, one.count] for one in found.ranges]}
        assert piece.device is not None
        ranges = [blksnap.SectorRange(sector, count) for sector, count in piece.ranges]
        snapshot.append_storage(piece.device, ranges)
        return {"device": piece.device, "ranges": [list(one) for one in piece.ranges]}

    def report(self, start: int) -> Mapping[str, Any]:
        """events, appends [{device, ranges, done_ns}...], refused [{errno, why, time_ns}...]."""
        with self.lock:
            return {
                "events": list(self._events),
                "appends": list(self._appends),
                "appended": len(self._appends),
                "refused": list(self._refused),
            }

"""Load "answer": what a backup tool does - append difference storage for each low-space event."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

from lab import blksnap
from lab.agent.events import described
from lab.agent.loads.base import Load, load_kind
from lab.errors import UsageError
from lab.units import SECTOR, STORAGE_UNIT

_POLL_MS = 200


@load_kind("answer")
class Answer(Load):
    """Waits for events of snapshot `id` and answers each low-space one, `delay_ms` later.

    With exactly what is asked for: the next sectors of `device` from start_sector up to
    limit_sector, or a new file in `folder`. Corrupted events are only reported. It ends by itself
    when the snapshot is destroyed.
    """

    def __init__(
        self,
        id: str,
        *,
        device: Optional[str] = None,
        start_sector: int = 0,
        limit_sector: Optional[int] = None,
        folder: Optional[str] = None,
        delay_ms: int = 0,
    ) -> None:
        super().__init__()
        if (device is None) == (folder is None):
            raise UsageError("answer: give device or folder")
        self._id = uuid.UUID(id)
        self._device, self._folder = device, folder
        self._place = start_sector
        self._limit = limit_sector
        self._delay = delay_ms / 1000
        self._files = 0
        self._began = 0
        self._events: list[dict[str, Any]] = []
        self._appends: list[dict[str, Any]] = []
        self._refused: list[dict[str, Any]] = []

    def begin(self) -> None:
        if self._folder is not None:
            Path(self._folder).mkdir(parents=True, exist_ok=True)
        self._began = time.monotonic_ns()
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
                    self._events.append(described(event))
                if isinstance(event, blksnap.LowFreeSpaceEvent):
                    self._wait_and_answer(snapshot, event.requested_sectors)

    def _wait_and_answer(self, snapshot: blksnap.Snapshot, sectors: int) -> None:
        if self.pause(self._delay):
            return
        try:
            appended = self._append(snapshot, -(-sectors // STORAGE_UNIT) * STORAGE_UNIT)
        except (OSError, ValueError, UsageError) as error:
            number = error.errno if isinstance(error, OSError) else None
            with self.lock:
                self._refused.append(
                    {"errno": number, "why": str(error), "time_ns": time.monotonic_ns()}
                )
            return
        with self.lock:
            self._appends.append({**appended, "done_ns": time.monotonic_ns()})

    def _append(self, snapshot: blksnap.Snapshot, sectors: int) -> dict[str, Any]:
        if self._folder is not None:
            self._files += 1
            found = snapshot.append_file(f"{self._folder}/diff{self._files:05}", sectors * SECTOR)
            device = found.device.path or str(found.device)
            return {"device": device, "ranges": [[one.sector, one.count] for one in found.ranges]}
        assert self._device is not None
        start = self._place
        end = start + sectors
        if self._limit is not None:
            end = min(end, self._limit // STORAGE_UNIT * STORAGE_UNIT)
        if end <= start:
            raise UsageError(f"{self._device} is used up: sector {start} is the limit")
        self._place = end
        snapshot.append_storage(self._device, [blksnap.SectorRange(start, end - start)])
        return {"device": self._device, "ranges": [[start, end - start]]}

    def report(self, start: int) -> Mapping[str, Any]:
        """began_ns, events, appends [{device, ranges, done_ns}...], refused [{errno, why,
        time_ns}...]."""
        with self.lock:
            return {
                "began_ns": self._began,
                "events": list(self._events),
                "appends": list(self._appends),
                "appended": len(self._appends),
                "refused": list(self._refused),
            }

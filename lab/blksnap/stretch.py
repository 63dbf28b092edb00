# SPDX-License-Identifier: MIT
"""Holding a snapshot by hand: create, append, take, and answer its events until told to stop."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .control import Control
from .device import DeviceLike
from .results import Event, ImageInfo, LowFreeSpaceEvent
from .snapshot import Snapshot

_POLL_MS = 500
_SECTOR = 512
_UNIT = 4096


class Stretch:
    """A taken snapshot whose difference storage grows by files in a folder, as it is asked for.

    The files are named diff-<number> and removed at the end. The folder must not lie on the
    devices: of a file made there after the take the blocks may have been another's at the take, and
    the image then shows what is stored in them.
    """

    def __init__(self, snapshot: Snapshot, folder: Path) -> None:
        self.snapshot = snapshot
        self.images: list[ImageInfo] = []
        self._folder = folder
        self._files: list[Path] = []

    def begin(self) -> None:
        """Answer the event that create queues, then take."""
        event = self.snapshot.wait_event(_POLL_MS)
        if isinstance(event, LowFreeSpaceEvent):
            self.answer(event)
        self.snapshot.take()
        self.images = self.snapshot.images()

    def events(self, stop: threading.Event) -> Iterator[Event]:
        """The events as they come, each low-space one answered; ends when `stop` is set.

        A corrupted one does not end it: other images of the snapshot may be good.
        """
        while not stop.is_set():
            event = self.snapshot.wait_event(_POLL_MS)
            if isinstance(event, LowFreeSpaceEvent):
                self.answer(event)
            if event is not None:
                yield event

    def answer(self, event: LowFreeSpaceEvent) -> None:
        """Append a new file of the size that is asked for.

        OSError as the file system says; FileExistsError if one of its name is there.
        """
        path = self._folder / f"diff-{len(self._files):04}"
        # One that is there may be what a snapshot that was left behind still writes into.
        path.touch(exist_ok=False)
        self._files.append(path)
        size = -(-event.requested_sectors * _SECTOR // _UNIT) * _UNIT
        self.snapshot.append_file(path, size)

    def remove_files(self) -> None:
        """Delete the storage; only after the snapshot is destroyed."""
        for path in self._files:
            path.unlink(missing_ok=True)


@contextmanager
def stretched(control: Control, devices: Sequence[DeviceLike], folder: Path) -> Iterator[Stretch]:
    """A snapshot taken of `devices`, its storage in `folder`; destroyed and deleted at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    snapshot = control.create_snapshot(devices)
    held = Stretch(snapshot, folder)
    try:
        with snapshot:
            held.begin()
            yield held
    finally:
        if snapshot.id not in control.snapshots():
            held.remove_files()

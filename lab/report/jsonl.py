"""Events as JSON lines, for other programs and for reports made later."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO

from lab.runner.events import Event, RunResumed, RunStarted, as_record
from lab.runner.folder import disk_errors, mend_last_line


class JsonLines:
    """Writes each event as one line of JSON as soon as it happens.

    To `path`, or "events.jsonl" in the folder of the run. Of a run that goes on they go behind
    those that are there; another file gets these too, if its listener comes first.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._wanted = path
        self._path = Path()
        self._file: IO[str] | None = None

    def handle(self, event: Event) -> None:
        """Write the event; raises HostDiskFull and LabError."""
        if isinstance(event, RunStarted):
            self._open(Path(event.folder) / "events.jsonl", isinstance(event, RunResumed))
        if self._file is not None:
            with disk_errors(self._path.parent):
                self._file.write(json.dumps(as_record(event)) + "\n")
                self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            file, self._file = self._file, None
            with disk_errors(self._path.parent):
                file.close()

    def _open(self, own: Path, resumed: bool) -> None:
        self._path = self._wanted or own
        earlier = ""
        if resumed:
            mend_last_line(own)
            earlier = own.read_text(encoding="utf-8")
        with disk_errors(self._path.parent):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            mode = "a" if earlier and self._path == own else "w"
            self._file = self._path.open(mode, encoding="utf-8")
            self._file.write(earlier if self._path != own else "")

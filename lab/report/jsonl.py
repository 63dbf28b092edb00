"""Events as JSON lines, for other programs and for reports made later."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TextIO

from lab.runner.events import Event, as_record
from lab.runner.folder import disk_errors


class JsonLines:
    """Writes each event as one line of JSON as soon as it happens.

    To `path`, or, if that is None, to "events.jsonl" in the folder of the run.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._file: TextIO | None = None

    def handle(self, event: Event) -> None:
        """Write the event; raises HostDiskFull and LabError."""
        record = as_record(event)
        if self._file is None:
            path = self._path or Path(str(record["folder"])) / "events.jsonl"
            with disk_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                self._file = path.open("w", encoding="utf-8")
            self._path = path
        assert self._path is not None
        with disk_errors(self._path):
            self._file.write(json.dumps(record) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            file, self._file = self._file, None
            file.close()

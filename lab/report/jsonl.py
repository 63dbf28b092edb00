"""Events as JSON lines, for other programs and for reports made later."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TextIO

from lab.runner.events import Event, RunStarted, as_record
from lab.runner.folder import disk_errors


class JsonLines:
    """Writes each event as one line of JSON as soon as it happens.

    To "events.jsonl" in the folder of the run and, if given, to another file as well.
    """

    def __init__(self, also: Path | None = None) -> None:
        self._also = also
        self._files: dict[Path, TextIO] = {}

    def handle(self, event: Event) -> None:
        """Write the event; raises HostDiskFull and LabError."""
        if isinstance(event, RunStarted):
            self._open(Path(event.folder) / "events.jsonl")
            if self._also is not None:
                self._open(self._also)
        line = json.dumps(as_record(event)) + "\n"
        for path, file in self._files.items():
            with disk_errors(path.parent):
                file.write(line)
                file.flush()

    def close(self) -> None:
        """Close the files."""
        for path, file in self._files.items():
            with disk_errors(path.parent):
                file.close()
        self._files.clear()

    def _open(self, path: Path) -> None:
        with disk_errors(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._files[path] = path.open("w", encoding="utf-8")

"""Events as JSON lines, for other programs and for reports made later."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO

from lab.runner.events import Event, RunResumed, RunStarted, as_record
from lab.runner.folder import disk_errors, mend_last_line


class JsonLines:
    """Writes each event as one line of JSON as soon as it happens.

    To "events.jsonl" in the folder of the run and, if given, to another file as well. Of a run that
    goes on they go behind those that are there; the other file gets these too.
    """

    def __init__(self, also: Path | None = None) -> None:
        self._also = also
        self._files: dict[Path, IO[str]] = {}

    def handle(self, event: Event) -> None:
        """Write the event; raises HostDiskFull and LabError."""
        if isinstance(event, RunStarted):
            path = Path(event.folder) / "events.jsonl"
            earlier = ""
            if isinstance(event, RunResumed):
                mend_last_line(path)
                earlier = path.read_text(encoding="utf-8")
            self._open(path, "a" if earlier else "w")
            if self._also is not None:
                self._open(self._also, "w", earlier)
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

    def _open(self, path: Path, mode: str, earlier: str = "") -> None:
        with disk_errors(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = self._files[path] = path.open(mode, encoding="utf-8")
            file.write(earlier)

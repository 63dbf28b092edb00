"""What became of mutants, kept from run to run: a JSON line each.

A record's key is the digest of what could change it: the mutated sources, kernel, compiler, and
the scenarios. So an interrupted run goes on where it was.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from lab.runner.folder import mend_last_line


class Outcome(StrEnum):
    """How a trial of a source tree ended.

    killed    a scenario was red
    survived  all were green
    invalid   it does not compile
    unclear   the lab failed, twice; or all scenarios were skipped
    """

    KILLED = "killed"
    SURVIVED = "survived"
    INVALID = "invalid"
    UNCLEAR = "unclear"


@dataclass(frozen=True)
class Record:
    """The end of a trial. scenario, verdict: what decided. seconds: of all its scenarios.

    mutant: its id; the empty one is the module as it is.
    """

    key: str
    mutant: str
    outcome: Outcome
    scenario: str = ""
    verdict: str = ""
    reason: str = ""
    seconds: float = 0.0


class Records:
    """A file of records; the last one of a key counts. For one thread."""

    def __init__(self, path: Path, *, fresh: bool = False) -> None:
        """`fresh`: what is in the file already is not looked at."""
        self._path = path
        self._known: dict[str, Record] = {}
        mend_last_line(path)
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        for line in text.splitlines() if not fresh else ():
            record = _parsed(line)
            if record is not None:
                self._known[record.key] = record

    def find(self, key: str) -> Record | None:
        """The record of a trial that came to a clear end."""
        record = self._known.get(key)
        return None if record is None or record.outcome is Outcome.UNCLEAR else record

    def add(self, record: Record) -> None:
        """Keep a record."""
        self._known[record.key] = record
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(record)) + "\n")


def _parsed(line: str) -> Record | None:
    """None for a line that is no record."""
    try:
        fields = json.loads(line)
        return Record(**{**fields, "outcome": Outcome(fields["outcome"])})
    except (ValueError, TypeError, KeyError):
        return None

"""Lines of a log for a page: how serious each is, and where in the sources traces are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lab.runner.klog import classify
from lab.runner.traces import reference_in

_LEVEL = re.compile(r"^<(\d)>")
_STAMP = re.compile(r"^(?:<\d>)?\[\s*\d+\.\d+\](?:\[[^\]]*\])? ?")
_DECODED = re.compile(r"^(.*\+0x[0-9a-f]+/0x[0-9a-f]+ \[[^\]]+\])  (\S+\.[chS]:\d.*)$")
"""A line of evidence, behind which its place in our sources is already."""
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
LONGEST = 400
"""Characters of a line that are shown."""


@dataclass(frozen=True)
class Line:
    """kind: "" or "bad", "warn", "ours". place: file and line of the module's sources, or empty."""

    text: str
    kind: str
    place: str


@dataclass(frozen=True)
class Log:
    """The end of a log; `left_out` lines are before it."""

    lines: tuple[Line, ...]
    left_out: int


def log_of(text: str, places: Mapping[str, object], limit: int) -> Log:
    """The last `limit` lines of a log, without escape sequences and control characters."""
    raw = _ANSI.sub("", text).replace("\r\n", "\n").replace("\r", "\n").rstrip("\n").split("\n")
    kept = raw[-limit:] if text else []
    return Log(tuple(_line(one, places) for one in kept), len(raw) - len(kept) if text else 0)


def _line(raw: str, places: Mapping[str, object]) -> Line:
    text = "".join(char if char.isprintable() or char == "\t" else "\ufffd" for char in raw)
    level, said = _LEVEL.match(text), _STAMP.sub("", text)
    found = reference_in(text)
    place = str(places.get(found.text, "")) if found is not None else ""
    if decoded := _DECODED.match(text):
        text, place = decoded.groups()
    if classify(said) is not None:
        kind = "bad"
    elif level is not None and int(level[1]) <= 3:
        kind = "warn"
    elif place:
        kind = "ours"
    else:
        kind = ""
    return Line(_LEVEL.sub("", text)[:LONGEST], kind, place)

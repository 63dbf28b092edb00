"""The kernel log through /dev/kmsg: records since a place, and markers.

Each read gives one record "level,sequence,microseconds,flags;text" with the text's odd bytes as
\\xNN, and maybe lines of properties after it. Source: Documentation/ABI/testing/dev-kmsg.
"""

from __future__ import annotations

import errno
import os
import threading
from dataclasses import asdict, dataclass, replace
from typing import Any, Optional

_NODE = "/dev/kmsg"
_RECORD = 8192
# An answer stays below 256 KiB.
_MAX_TEXT = 150_000


@dataclass(frozen=True)
class Record:
    """One line of the log. level: 0 (emergency) .. 7 (debug). time_us: since boot."""

    seq: int
    level: int
    time_us: int
    text: str


@dataclass(frozen=True)
class Reading:
    """Records; the number to ask for next time; whether there is more now.

    lost: how many the kernel had overwritten before they could be read.
    """

    records: list[Record]
    next_seq: int
    more: bool
    lost: int


class KernelLog:
    """Reads the log; remembers how far, so that asking on costs only what is new. Thread-safe."""

    def __init__(self, node: str = _NODE) -> None:
        self._node = node
        self._fd = -1
        self._next = 0
        self._lock = threading.Lock()

    def since(self, seq: int) -> Reading:
        """What there is from `seq` on; 0: from the oldest on, none of which is lost then."""
        with self._lock:
            self._seek(seq)
            records: list[Record] = []
            size = lost = 0
            while size < _MAX_TEXT:
                found = self._read()
                if found is None:
                    return Reading(records, max(self._next, seq), False, lost)
                record, continues = found
                if record.seq >= seq and (seq or records):
                    lost += record.seq - max(seq, self._next)
                self._next = record.seq + 1
                if record.seq < seq:
                    continue
                size += len(record.text) + 60
                if continues and records:
                    records[-1] = replace(records[-1], text=records[-1].text + record.text)
                else:
                    records.append(record)
            return Reading(records, self._next, True, lost)

    def mark(self, text: str, level: int = 6) -> int:
        """Write a line; the sequence number it got. Reading on from there is then cheap."""
        # The kernel limits lines for each opening of the node, so each mark opens it anew.
        reader = os.open(self._node, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.lseek(reader, 0, os.SEEK_END)
        fd = os.open(self._node, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.lseek(fd, 0, os.SEEK_END)
            # Without the newline the record stays open for more and nobody can read it.
            os.write(fd, f"<{level}>{text}\n".encode())
            seq = _find(fd, text)
        except BaseException:
            os.close(reader)
            raise
        finally:
            os.close(fd)
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
            self._fd, self._next = reader, seq
        return seq

    def _seek(self, seq: int) -> None:
        if self._fd < 0:
            self._fd = os.open(self._node, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            self._next = 0
        elif seq < self._next:
            os.lseek(self._fd, 0, os.SEEK_SET)
            self._next = 0

    def _read(self) -> Optional[tuple[Record, bool]]:
        return _read(self._fd)


def _find(fd: int, text: str) -> int:
    """The sequence number of the next record with that text."""
    while True:
        found = _read(fd)
        if found is None:
            raise OSError(errno.EIO, "the kernel log did not take the line")
        if found[0].text == text:
            return found[0].seq


def _read(fd: int) -> Optional[tuple[Record, bool]]:
    """The next record, and whether it continues the one before; None at the end."""
    while True:
        try:
            return _parsed(os.read(fd, _RECORD))
        except BlockingIOError:
            return None
        except BrokenPipeError:
            continue  # The ring overran our place; the next read goes on with what is left.


def _parsed(data: bytes) -> tuple[Record, bool]:
    text = data.decode(errors="replace")
    head, _, rest = text.partition(";")
    level, seq, time_us, flags = head.split(",")[:4]
    line = _unescaped(rest.split("\n")[0])
    return Record(int(seq), int(level) & 7, int(time_us), line), flags in ("c", "+")


def _unescaped(text: str) -> str:
    if "\\x" not in text:
        return text
    # Every backslash and every byte beyond ASCII is written \\xNN, so nothing else can be meant.
    raw = text.encode("ascii", "replace").decode("unicode_escape")
    return raw.encode("latin-1", "replace").decode("utf-8", "replace")


def listed(records: list[Record]) -> list[dict[str, Any]]:
    """As JSON objects."""
    return [asdict(record) for record in records]

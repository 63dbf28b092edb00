"""Page-aligned memory, as direct I/O wants it."""

from __future__ import annotations

import mmap
from types import TracebackType
from typing import Optional

from lab.errors import UsageError

# The largest single write or read; the guests have little memory.
MAX_PIECE = 128 << 20


class Aligned:
    """Anonymous memory at a page boundary. A context manager."""

    def __init__(self, size: int) -> None:
        if not 0 < size <= MAX_PIECE:
            raise UsageError(f"one call of {size} bytes is outside 1..{MAX_PIECE}", "use chunk")
        self._map = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.view = memoryview(self._map)
        self.size = size

    def __getitem__(self, part: slice) -> memoryview:
        return self.view[part]

    def close(self) -> None:
        """Give the memory back; views of it must be gone."""
        self.view.release()
        self._map.close()

    def __enter__(self) -> Aligned:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        # After an error the traceback may still hold views; the collector frees the map then.
        if error is None:
            self.close()

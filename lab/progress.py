"""How long work tells what it is doing: a callback that gets one Progress after the other."""

from collections.abc import Callable
from dataclasses import dataclass

EVERY = 60.0
"""Seconds between two lines about a stage that lasts, where lines stay: in a pipe."""


@dataclass(frozen=True)
class Progress:
    """A stage of long work, what it does just now, and how far it is (0..1; None: unknown)."""

    stage: str
    detail: str
    fraction: float | None = None


ProgressSink = Callable[[Progress], None]


def silent(_progress: Progress) -> None:
    """A sink for callers who do not want to know."""

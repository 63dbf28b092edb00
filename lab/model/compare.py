"""Compares what was read from a device with what the model allows, sector by sector."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from lab.model.content import Cell, Stamp, permits
from lab.model.disagreement import Disagreement
from lab.model.runmap import Run, RunMap
from lab.model.seen import Seen, SeenKind

Describe = Callable[[int, int], str]
"""(tag, seq) -> which write that was."""


class Limits(NamedTuple):
    """What reading may give besides the content."""

    must_fail: bool = False
    """Every sector must refuse with EIO."""
    may_fail: bool = False
    """A sector may refuse with EIO."""


EXACT = Limits()
"""Every sector is read and right."""


def compare(
    where: str,
    expected: RunMap[Cell],
    seen: Sequence[Seen],
    span: tuple[int, int],
    *,
    describe: Describe,
    limits: Limits = EXACT,
) -> tuple[Disagreement, ...]:
    """Disagreements over `span` = (first sector, count); what was not read is one too."""
    found: list[Disagreement] = []
    for piece in _gapless(seen, span):
        if isinstance(piece, Run):
            found.append(_gap(where, piece))
            continue
        for run in expected.runs(piece.sector, piece.count):
            wrong = _judge(where, run, piece, describe, limits)
            if wrong is not None:
                found.append(wrong)
        beyond = piece.end - max(expected.size, piece.sector)
        if beyond > 0:
            found.append(
                Disagreement(
                    where, piece.end - beyond, beyond, "sector", "data", "the device's end"
                )
            )
    return tuple(_merged(found))


def _gapless(seen: Sequence[Seen], span: tuple[int, int]) -> Iterator[Seen | Run[None]]:
    """What was seen within the span, in order, with a Run for each hole."""
    position, end = span[0], span[0] + span[1]
    for piece in sorted(seen, key=lambda one: one.sector):
        if piece.end <= position or piece.sector >= end:
            continue
        if piece.sector > position:
            yield Run(position, piece.sector - position, None)
        yield _cut(piece, max(position, piece.sector), min(piece.end, end))
        position = max(position, piece.end)
    if position < end:
        yield Run(position, end - position, None)


def _cut(piece: Seen, start: int, end: int) -> Seen:
    if start == piece.sector and end == piece.end:
        return piece
    return Seen(
        start,
        end - start,
        piece.kind,
        piece.tag,
        piece.seq,
        piece.origin + (start - piece.sector),
        piece.errno,
        piece.detail,
    )


def _judge(
    where: str, run: Run[Cell], piece: Seen, describe: Describe, limits: Limits
) -> Disagreement | None:
    if piece.kind is SeenKind.ERROR:
        right = piece.errno == errno.EIO and (limits.must_fail or limits.may_fail)
    elif limits.must_fail or (piece.kind is SeenKind.GARBAGE and run.value is not None):
        right = False
    elif piece.kind is SeenKind.STAMP:
        right = permits(run.value, piece.tag, piece.seq, piece.sector - piece.origin)
    else:
        right = permits(run.value, 0, 0, 0)
    if right:
        return None
    start = run.start
    return Disagreement(
        where,
        start,
        run.count,
        "sector",
        seen_text(_cut(piece, start, run.end), describe),
        _allowed_text(run, describe, limits),
    )


def seen_text(piece: Seen, describe: Describe) -> str:
    """What a run of sectors was found to hold, in words."""
    if piece.kind is SeenKind.ERROR:
        return f"error {errno.errorcode.get(piece.errno, piece.errno)}"
    if piece.kind is SeenKind.ZERO:
        return "zeros"
    if piece.kind is SeenKind.GARBAGE:
        return f"no stamp {piece.detail}".rstrip()
    misplaced = "" if piece.origin == piece.sector else f" for sector {piece.origin}"
    return f"{describe(piece.tag, piece.seq)}{misplaced}"


def cell_text(cell: Cell, start: int, describe: Describe) -> str:
    """What a cell allows, in words."""
    if cell is None:
        return "anything"
    return " or ".join(_stamp_text(stamp, start, describe) for stamp in sorted(cell)[:6])


def _stamp_text(stamp: Stamp, start: int, describe: Describe) -> str:
    if stamp.tag == 0:
        return "zeros"
    misplaced = f" for sector {start - stamp.shift}" if stamp.shift else ""
    text = describe(stamp.tag, stamp.first)
    return f"{text}{f'..{stamp.last}' if stamp.last > stamp.first else ''}{misplaced}"


def _allowed_text(run: Run[Cell], describe: Describe, limits: Limits) -> str:
    if limits.must_fail:
        return "error EIO (the image is spoiled)"
    text = cell_text(run.value, run.start, describe)
    return f"{text} or error EIO" if limits.may_fail else text


def _gap(where: str, run: Run[None]) -> Disagreement:
    return Disagreement(where, run.start, run.count, "sector", "nothing was read", "read")


def _merged(found: Iterable[Disagreement]) -> Iterator[Disagreement]:
    """Neighbours that say the same become one."""
    last: Disagreement | None = None
    for one in found:
        same = last is not None and (last.found, last.allowed) == (one.found, one.allowed)
        if last is not None and same and last.first + last.count == one.first:
            last = Disagreement(
                last.where, last.first, last.count + one.count, last.unit, last.found, last.allowed
            )
            continue
        if last is not None:
            yield last
        last = one
    if last is not None:
        yield last

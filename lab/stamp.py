"""Sector stamps: every 512-byte sector of a scenario says who wrote it, where and when.

A stamped sector is 64 little-endian 64-bit words:

    w0      MAGIC << 16 | tag      tag: 16 bits, one per device, chosen by the model
    w1      sector                 where the sector was written to, from the device's start
    w2      seq                    number of the write, 1 or more
    w3      check                  of tag and seq
    w4-w62  filler                 of tag and seq
    w63     trailer                of tag, seq and sector

Within one write only w1 and w63 change from sector to sector, each by a constant step. So a run is
built by repeating one sector and assigning two strided columns, and it is verified by building what
should be there and comparing memory: no Python loop per sector, all 512 bytes looked at. A sector
torn between two writes, or between two places of one write, is garbage.

Runs in guests and on the host (Python 3.9, standard library only, little-endian machines only).
"""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Iterable
from enum import Enum
from itertools import compress
from operator import ne, sub
from typing import NamedTuple, Optional, Union

from lab.units import SECTOR

MAX_TAG = (1 << 16) - 1
MAX_SEQ = (1 << 63) - 1
MAX_SECTOR = (1 << 42) - 1

_WORDS = SECTOR // 8
_MAGIC = 0x424C_4B53_4E50  # "BLKSNP"
_MASK = (1 << 64) - 1
# The trailer's mixed part is below 2**62 and sector * step below 2**60, so a column is a plain
# ascending range that never wraps.
_TRAILER_STEP = 0x3_1C6D
_HEAD = struct.Struct("<4Q")
_WORD = struct.Struct("<Q")
_FILLER_WORDS = _WORDS - 5
_SECTOR_COLUMN, _TRAILER_COLUMN = slice(1, None, _WORDS), slice(63, None, _WORDS)

# Scanning goes by blocks of this many sectors: a block is first tried as a whole (all zero, or the
# run at hand going on), and taken apart only if that fails.
_BLOCK = 128
_ZEROS = bytes(_BLOCK * SECTOR)
_ZERO_SECTOR = bytes(SECTOR)
# A column of a block as one large number: base * _ONES + step * (0, 1, 2 ...). Several times as
# fast as a range, which makes an object of every word.
_ONES = sum(1 << 64 * place for place in range(_BLOCK))
_SECTOR_RAMP = sum(place << 64 * place for place in range(_BLOCK))
_TRAILER_RAMP = _SECTOR_RAMP * _TRAILER_STEP
_FEW = 24  # sectors; below that a range is faster

Buffer = Union[bytes, bytearray]


class Kind(str, Enum):
    """What a run of sectors holds."""

    ZERO = "zero"
    STAMP = "stamp"
    GARBAGE = "garbage"


class Run(NamedTuple):
    """Consecutive sectors of one kind; a tuple because scans make very many of them.

    sector, count: where it lies, in sectors. For stamps: tag, seq and origin, the sector that the
    first stamp names (equal to `sector` when the data is where it was written); later ones ascend
    with it. For garbage: crc32 and the first 32 bytes (hex) of the first bad sector.
    """

    sector: int
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody wants of a run
    kind: Kind
    tag: Optional[int] = None
    seq: Optional[int] = None
    origin: Optional[int] = None
    crc32: Optional[int] = None
    head: Optional[str] = None


def build(tag: int, sector: int, count: int, seq: int) -> bytearray:
    """The `count` * 512 bytes that write number `seq` puts at `sector` of device `tag`.

    ValueError if a number is outside its range (tag 0..65535, seq 1..2**63-1, sectors < 2**42).
    """
    _check(tag, sector, count, seq)
    data = bytearray(count * SECTOR)
    with memoryview(data) as out:
        fill(out, tag, sector, seq)
    return data


def fill(out: memoryview, tag: int, sector: int, seq: int) -> None:
    """Stamp all of `out` (writable bytes, whole sectors): as build(), into memory that is there.

    For buffers used again and again, such as page-aligned ones for direct I/O.
    """
    if len(out) % SECTOR:
        raise ValueError(f"{len(out)} bytes are not whole sectors")
    total = len(out) // SECTOR
    _check(tag, sector, total, seq)
    pattern = _Pattern(tag, seq)
    for start in range(0, total, _BLOCK):
        count = min(_BLOCK, total - start)
        with memoryview(pattern.at(sector + start, count)) as words, words.cast("B") as piece:
            out[start * SECTOR : (start + count) * SECTOR] = piece


def scan(data: Union[Buffer, memoryview], sector: int) -> list[Run]:
    """Decode whole sectors read from `sector` on into maximal runs, in order, without gaps.

    ValueError if `data` is not a whole number of sectors.
    """
    if len(data) % SECTOR:
        raise ValueError(f"{len(data)} bytes are not whole sectors")
    buf: Buffer = data if isinstance(data, (bytes, bytearray)) else bytes(data)
    return _Scan(buf, sector).run()


def joined(runs: Iterable[Run]) -> list[Run]:
    """The same runs with neighbours that continue each other made one (e.g. of several scans)."""
    found: list[Run] = []
    for run in runs:
        _append(found, run)
    return found


def _check(tag: int, sector: int, count: int, seq: int) -> None:
    if not (0 <= tag <= MAX_TAG and 1 <= seq <= MAX_SEQ):
        raise ValueError(f"tag {tag} or seq {seq} is outside its range")
    if sector < 0 or count < 0 or sector + count > MAX_SECTOR:
        raise ValueError(f"sectors {sector}+{count} are outside 0..2**42")


class _Pattern:
    """The sectors of one write: made once for a block, then only moved from place to place."""

    def __init__(self, tag: int, seq: int) -> None:
        self.key = (tag, seq)
        mixed = ((seq << 16 | tag) * 0x9E37_79B9_7F4A_7C15) & _MASK
        mixed ^= mixed >> 29
        filler = (mixed * 0xBF58_476D_1CE4_E5B9) & _MASK
        self._trailer = (filler ^ mixed) >> 2
        self._one = (
            _HEAD.pack(_MAGIC << 16 | tag, 0, seq, mixed)
            + _WORD.pack(filler) * _FILLER_WORDS
            + _WORD.pack(0)
        )
        self._words = array("Q")

    def at(self, sector: int, count: int) -> array[int]:
        """The words of up to a block of sectors; valid until the next call."""
        if len(self._words) != count * _WORDS:
            self._words = array("Q", self._one) * count
        words = self._words
        trailer = self._trailer + sector * _TRAILER_STEP
        if count == 1:
            words[1], words[63] = sector, trailer
        elif count <= _FEW:
            words[_SECTOR_COLUMN] = array("Q", range(sector, sector + count))
            end = trailer + count * _TRAILER_STEP
            words[_TRAILER_COLUMN] = array("Q", range(trailer, end, _TRAILER_STEP))
        else:
            words[_SECTOR_COLUMN] = _column(sector * _ONES + _SECTOR_RAMP, count)
            words[_TRAILER_COLUMN] = _column(trailer * _ONES + _TRAILER_RAMP, count)
        return words


def _column(number: int, count: int) -> array[int]:
    return array("Q", number.to_bytes(_BLOCK * 8, "little")[: count * 8])


def _append(runs: list[Run], run: Run) -> None:
    """Add a run at the end, or let the last one go on with it."""
    if runs:
        last = runs[-1]
        if _continues(last, run):
            runs[-1] = Run(last[0], last[1] + run[1], *last[2:])
            return
    runs.append(run)


def _continues(last: Run, run: Run) -> bool:
    if last.kind is not run.kind or last.sector + last.count != run.sector:
        return False
    if run.kind is not Kind.STAMP:
        return True
    assert last.origin is not None
    return last.tag == run.tag and last.seq == run.seq and last.origin + last.count == run.origin


class _Scan:
    """One buffer being decoded; places are counted in sectors from its start."""

    def __init__(self, buf: Buffer, sector: int) -> None:
        self._buf = buf
        self._sector = sector
        self._runs: list[Run] = []
        # Of the last write met, so that the next block of the same write need not make it anew.
        self._pattern = _Pattern(0, 0)

    def run(self) -> list[Run]:
        """Decode all of it."""
        total = len(self._buf) // SECTOR
        for start in range(0, total, _BLOCK):
            count = min(_BLOCK, total - start)
            whole = self._whole_block(start, count)
            if whole is not None:
                _append(self._runs, whole)
            else:
                self._append_fragments(start, count)
        return self._runs

    def _whole_block(self, start: int, count: int) -> Optional[Run]:
        """The block as one run if it is all zero or one undisturbed write, else None."""
        offset = start * SECTOR
        if self._buf.startswith(_ZERO_SECTOR, offset):
            zero = Run(self._sector + start, count, Kind.ZERO)
            return zero if self._is_zero(start, count) else None
        first = _HEAD.unpack_from(self._buf, offset)
        final = _HEAD.unpack_from(self._buf, offset + (count - 1) * SECTOR)
        if first[0] != final[0] or first[2] != final[2] or first[1] + count - 1 != final[1]:
            return None  # The ends tell at once, for the price of no building.
        return self._stamped(start, count, first)

    def _append_fragments(self, start: int, count: int) -> None:
        """Add the runs of a block that is not all of one piece."""
        with memoryview(self._buf) as raw, raw.cast("Q") as all_words:
            words = all_words[start * _WORDS : (start + count) * _WORDS]
            tags, seqs = words[0::_WORDS].tolist(), words[2::_WORDS].tolist()
            # A write's sectors ascend with their place, so within a run the difference is constant.
            shifts = list(map(sub, words[1::_WORDS].tolist(), range(count)))
            words.release()
        if 0 in tags:  # Zero sectors name no place; without this each would be a run of its own.
            shifts = [shift if tag else 0 for tag, shift in zip(tags, shifts)]
        keys = list(zip(tags, seqs, shifts))
        ends = list(compress(range(1, count), map(ne, keys, keys[1:])))
        ends.append(count)
        place = 0
        for end in ends:
            head = (tags[place], shifts[place] + place, seqs[place])
            self._append_decoded(start + place, end - place, head)
            place = end

    def _append_decoded(self, start: int, count: int, head: tuple[int, ...]) -> None:
        """Add sectors whose heads claim to be one write: verified, halved where they are not."""
        stamped = self._stamped(start, count, head)
        if stamped is not None:
            _append(self._runs, stamped)
        elif head[0] == 0 and self._is_zero(start, count):
            _append(self._runs, Run(self._sector + start, count, Kind.ZERO))
        elif count > 1:
            half = count // 2
            self._append_decoded(start, half, head)
            rest = (head[0], head[1] + half, head[2])
            self._append_decoded(start + half, count - half, rest)
        else:
            bad = bytes(self._buf[start * SECTOR : (start + 1) * SECTOR])
            place, crc32 = self._sector + start, zlib.crc32(bad)
            _append(self._runs, Run(place, 1, Kind.GARBAGE, crc32=crc32, head=bad[:32].hex()))

    def _is_zero(self, start: int, count: int) -> bool:
        zeros = _ZEROS if count == _BLOCK else _ZEROS[: count * SECTOR]
        return self._buf.startswith(zeros, start * SECTOR)

    def _stamped(self, start: int, count: int, head: tuple[int, ...]) -> Optional[Run]:
        """The run that the first sector's words w0, w1, w2 speak of, if every byte agrees."""
        word, origin, seq = head[0], head[1], head[2]
        if word >> 16 != _MAGIC or not 1 <= seq <= MAX_SEQ or origin + count > MAX_SECTOR:
            return None
        tag = word & MAX_TAG
        if self._pattern.key != (tag, seq):
            self._pattern = _Pattern(tag, seq)
        if not self._buf.startswith(self._pattern.at(origin, count), start * SECTOR):
            return None
        return Run(self._sector + start, count, Kind.STAMP, tag, seq, origin)

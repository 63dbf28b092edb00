"""Sector stamps: every 512-byte sector of a scenario says who wrote it, where and when.

A stamped sector is 64 little-endian 64-bit words:

    w0      MAGIC << 16 | tag      tag: 16 bits, one per device, chosen by the model
    w1      sector                 where the sector was written to, from the device's start
    w2      seq                    number of the write, 1 or more
    w3      check                  of tag, seq and sector
    w4-w62  filler                 of tag and seq
    w63     trailer                of tag, seq and sector, other constants than w3

Within one write only w1, w3 and w63 change from sector to sector, each by a constant step. So a run
is built by repeating one sector and assigning three strided columns, and it is verified by building
what should be there and comparing memory: no Python loop per sector, all 512 bytes looked at.
A sector torn between two writes has parts of two fillers and is garbage.

Runs in guests and on the host (Python 3.9, standard library only, little-endian machines only).
"""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Iterable, Iterator
from enum import Enum
from itertools import compress
from operator import ne, sub
from typing import NamedTuple, Optional, Union

SECTOR = 512
MAX_TAG = (1 << 16) - 1
MAX_SEQ = (1 << 63) - 1
MAX_SECTOR = (1 << 42) - 1

_WORDS = SECTOR // 8
_MAGIC = 0x424C_4B53_4E50  # "BLKSNP"
_MASK = (1 << 64) - 1
# The mixed part stays below 2**62 and sector * step below 2**61, so the columns are plain
# ascending ranges that never wrap.
_BASE_MASK = (1 << 62) - 1
_CHECK_STEP = 0x5_DEEB
_TRAILER_STEP = 0x3_1C6D
_HEAD = struct.Struct("<4Q")
_WORD = struct.Struct("<Q")
_FILLER_WORDS = _WORDS - 5

# Scanning goes by blocks of this many sectors: a block is first tried as a whole (all zero, or the
# run at hand going on), and taken apart only if that fails.
_BLOCK = 128
_ZEROS = bytes(_BLOCK * SECTOR)
_ZERO_SECTOR = bytes(SECTOR)

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
    for start in range(0, total, _BLOCK):
        count = min(_BLOCK, total - start)
        piece = _build(tag, sector + start, count, seq).tobytes()
        out[start * SECTOR : (start + count) * SECTOR] = piece


def scan(data: Union[Buffer, memoryview], sector: int) -> list[Run]:
    """Decode whole sectors read from `sector` on into maximal runs, in order, without gaps.

    ValueError if `data` is not a whole number of sectors.
    """
    if len(data) % SECTOR:
        raise ValueError(f"{len(data)} bytes are not whole sectors")
    buf: Buffer = data if isinstance(data, (bytes, bytearray)) else bytes(data)
    return list(joined(_scan_blocks(buf, sector)))


def joined(runs: Iterable[Run]) -> Iterator[Run]:
    """The same runs with neighbours that continue each other made one (e.g. of several scans)."""
    last: Optional[Run] = None
    for run in runs:
        if last is not None and _continues(last, run):
            last = last._replace(count=last.count + run.count)
            continue
        if last is not None:
            yield last
        last = run
    if last is not None:
        yield last


def _check(tag: int, sector: int, count: int, seq: int) -> None:
    if not (0 <= tag <= MAX_TAG and 1 <= seq <= MAX_SEQ):
        raise ValueError(f"tag {tag} or seq {seq} is outside its range")
    if sector < 0 or count < 0 or sector + count > MAX_SECTOR:
        raise ValueError(f"sectors {sector}+{count} are outside 0..2**42")


def _continues(last: Run, run: Run) -> bool:
    if last.kind is not run.kind or last.sector + last.count != run.sector:
        return False
    if run.kind is not Kind.STAMP:
        return True
    assert last.origin is not None
    return last.tag == run.tag and last.seq == run.seq and last.origin + last.count == run.origin


def _build(tag: int, sector: int, count: int, seq: int) -> array[int]:
    """The words of a run; an array and not bytes, because its strided assignment is the fastest."""
    mixed = ((seq << 16 | tag) * 0x9E37_79B9_7F4A_7C15) & _MASK
    mixed ^= mixed >> 29
    filler = (mixed * 0xBF58_476D_1CE4_E5B9) & _MASK
    check = (mixed & _BASE_MASK) + sector * _CHECK_STEP
    trailer = (filler >> 2) + sector * _TRAILER_STEP
    head = _HEAD.pack(_MAGIC << 16 | tag, sector, seq, check)
    run = array("Q", head + _WORD.pack(filler) * _FILLER_WORDS + _WORD.pack(trailer))
    if count == 1:
        return run
    run *= count
    run[1::_WORDS] = array("Q", range(sector, sector + count))
    run[3::_WORDS] = array("Q", range(check, check + count * _CHECK_STEP, _CHECK_STEP))
    run[63::_WORDS] = array("Q", range(trailer, trailer + count * _TRAILER_STEP, _TRAILER_STEP))
    return run


def _scan_blocks(buf: Buffer, sector: int) -> Iterator[Run]:
    total = len(buf) // SECTOR
    last: Optional[Run] = None
    for start in range(0, total, _BLOCK):
        count = min(_BLOCK, total - start)
        whole = _whole_block(buf, start, count, sector, last)
        if whole is not None:
            last = whole
            yield whole
            continue
        for last in _fragments(buf, start, count, sector):
            yield last


def _whole_block(
    buf: Buffer, start: int, count: int, sector: int, last: Optional[Run]
) -> Optional[Run]:
    """The block as one run if it is all zero or one undisturbed write, else None."""
    offset = start * SECTOR
    if buf.startswith(_ZERO_SECTOR, offset):
        zeros = _ZEROS if count == _BLOCK else _ZEROS[: count * SECTOR]
        return Run(sector + start, count, Kind.ZERO) if buf.startswith(zeros, offset) else None
    first = _HEAD.unpack_from(buf, offset)
    final = _HEAD.unpack_from(buf, offset + (count - 1) * SECTOR)
    if first[0] != final[0] or first[2] != final[2] or first[1] + count - 1 != final[1]:
        return None  # The ends tell at once, for the price of no build.
    run = _claimed(first, sector + start, count)
    return run if run is not None and _verified(buf, start, run) else None


def _fragments(buf: Buffer, start: int, count: int, sector: int) -> Iterator[Run]:
    """The runs of a block that is not all of one piece."""
    with memoryview(buf) as raw, raw.cast("Q") as all_words:
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
        yield from _decoded(buf, start + place, end - place, sector, head)
        place = end


def _decoded(
    buf: Buffer, start: int, count: int, sector: int, head: tuple[int, ...]
) -> Iterator[Run]:
    """Runs of sectors whose heads claim to be one write: verified, halved where they are not."""
    claimed = _claimed(head, sector + start, count)
    if claimed is not None and _verified(buf, start, claimed):
        yield claimed
    elif head[0] == 0 and buf.startswith(_ZEROS[: count * SECTOR], start * SECTOR):
        yield Run(sector + start, count, Kind.ZERO)
    elif count > 1:
        half = count // 2
        rest = (head[0], head[1] + half, head[2])
        yield from _decoded(buf, start, half, sector, head)
        yield from _decoded(buf, start + half, count - half, sector, rest)
    else:
        bad = bytes(buf[start * SECTOR : (start + 1) * SECTOR])
        yield Run(sector + start, 1, Kind.GARBAGE, crc32=zlib.crc32(bad), head=bad[:32].hex())


def _claimed(head: tuple[int, ...], sector: int, count: int) -> Optional[Run]:
    """The run that a first sector's words w0, w1, w2 speak of; None if they are no stamp's."""
    word, origin, seq = head[0], head[1], head[2]
    if word >> 16 != _MAGIC or not 1 <= seq <= MAX_SEQ or origin + count > MAX_SECTOR:
        return None
    return Run(sector, count, Kind.STAMP, word & MAX_TAG, seq, origin)


def _verified(buf: Buffer, start: int, run: Run) -> bool:
    assert run.tag is not None and run.origin is not None and run.seq is not None
    return buf.startswith(_build(run.tag, run.origin, run.count, run.seq), start * SECTOR)

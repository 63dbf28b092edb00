"""Stamps: what is built is found again, and nothing else passes for it."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab import stamp
from lab.stamp import Kind, Run
from lab.units import SECTOR

TAGS = st.integers(0, stamp.MAX_TAG)
SEQS = st.integers(1, stamp.MAX_SEQ)
PLACES = st.integers(0, stamp.MAX_SECTOR - 4096)


def stamped(sector: int, count: int, tag: int, seq: int, origin: int | None = None) -> Run:
    return Run(sector, count, Kind.STAMP, tag, seq, sector if origin is None else origin)


@given(tag=TAGS, seq=SEQS, sector=PLACES, count=st.integers(1, 700))
@settings(max_examples=60)
def test_a_write_is_found_as_one_run(tag: int, seq: int, sector: int, count: int) -> None:
    data = stamp.build(tag, sector, count, seq)
    assert len(data) == count * SECTOR
    assert stamp.scan(data, sector) == [stamped(sector, count, tag, seq)]


@given(tag=TAGS, seq=SEQS, sector=PLACES, count=st.integers(1, 300))
@settings(max_examples=40)
def test_a_long_write_is_the_same_bytes_as_its_sectors(
    tag: int, seq: int, sector: int, count: int
) -> None:
    whole = stamp.build(tag, sector, count, seq)
    parts = [stamp.build(tag, sector + place, 1, seq) for place in range(count)]
    assert whole == b"".join(parts)


@given(tag=TAGS, seq=SEQS, sector=PLACES, count=st.integers(0, 300))
@settings(max_examples=20)
def test_filling_memory_gives_what_building_gives(
    tag: int, seq: int, sector: int, count: int
) -> None:
    memory = bytearray(b"\xff" * count * SECTOR)
    stamp.fill(memoryview(memory), tag, sector, seq)
    assert memory == stamp.build(tag, sector, count, seq)


PIECES = st.lists(
    st.tuples(
        st.sampled_from(["zero", "stamp", "moved", "garbage"]),
        st.integers(1, 300),
        st.integers(0, 3),
        st.integers(1, 4),
    ),
    min_size=1,
    max_size=12,
)


@given(pieces=PIECES, start=st.integers(0, 1 << 40))
@settings(max_examples=120)
def test_any_mixture_is_decoded_into_maximal_runs(
    pieces: list[tuple[str, int, int, int]], start: int
) -> None:
    data = bytearray()
    expected: list[Run] = []
    sector = start
    dice = random.Random(1)
    for kind, count, tag, seq in pieces:
        if kind == "zero":
            data += bytes(count * SECTOR)
            expected.append(Run(sector, count, Kind.ZERO))
        elif kind == "garbage":
            data += dice.randbytes(count * SECTOR)
            expected.append(Run(sector, count, Kind.GARBAGE))
        else:
            origin = sector if kind == "stamp" else sector + 1_000_000
            data += stamp.build(tag, origin, count, seq)
            expected.append(stamped(sector, count, tag, seq, origin))
        sector += count
    found = [run._replace(crc32=None, head=None) for run in stamp.scan(data, start)]
    assert found == list(stamp.joined(expected))


@given(
    count=st.integers(1, 200),
    place=st.data(),
    change=st.integers(1, 255),
)
@settings(max_examples=150)
def test_one_changed_byte_spoils_exactly_its_sector(
    count: int, place: st.DataObject, change: int
) -> None:
    data = stamp.build(5, 1000, count, 77)
    at = place.draw(st.integers(0, len(data) - 1))
    data[at] ^= change
    bad = 1000 + at // SECTOR
    for run in stamp.scan(data, 1000):
        whole = run.kind is Kind.STAMP and (run.tag, run.seq, run.origin) == (5, 77, run.sector)
        assert whole == (not run.sector <= bad < run.sector + run.count)


@pytest.mark.parametrize("cut", range(8, SECTOR, 8))
def test_a_sector_torn_between_two_writes_is_garbage(cut: int) -> None:
    old, new = stamp.build(1, 64, 1, 10), stamp.build(1, 64, 1, 11)
    torn = new[:cut] + old[cut:]
    (run,) = stamp.scan(torn, 64)
    # The first words are all alike but the sequence number, so a cut there is the whole old one.
    assert run.kind is (Kind.STAMP if torn == old else Kind.GARBAGE)
    (run,) = stamp.scan(new[:cut] + bytes(SECTOR - cut), 64)
    assert run.kind is Kind.GARBAGE


def test_garbage_tells_what_was_found() -> None:
    (run,) = stamp.scan(b"text" * 128 + b"more" * 128, 8)
    assert (run.sector, run.count, run.kind) == (8, 2, Kind.GARBAGE)
    assert run.head == (b"text" * 8).hex()
    assert run.crc32 is not None


def test_a_zero_head_with_something_behind_is_garbage() -> None:
    data = bytearray(4 * SECTOR)
    data[2 * SECTOR + 300] = 1
    kinds = [(run.count, run.kind) for run in stamp.scan(data, 0)]
    assert kinds == [(2, Kind.ZERO), (1, Kind.GARBAGE), (1, Kind.ZERO)]


def test_memory_views_can_be_scanned() -> None:
    data = stamp.build(9, 0, 3, 1)
    assert stamp.scan(memoryview(data), 0) == [stamped(0, 3, 9, 1)]


def test_runs_of_successive_scans_join() -> None:
    first, second = stamp.build(9, 0, 3, 1), stamp.build(9, 3, 5, 1)
    runs = [*stamp.scan(first, 0), *stamp.scan(second, 3), *stamp.scan(bytes(SECTOR), 8)]
    assert list(stamp.joined(runs)) == [stamped(0, 8, 9, 1), Run(8, 1, Kind.ZERO)]


def test_nothing_scanned_is_no_run() -> None:
    assert stamp.scan(b"", 0) == []


@pytest.mark.parametrize(
    ("tag", "sector", "count", "seq"),
    [(-1, 0, 1, 1), (1 << 16, 0, 1, 1), (0, -1, 1, 1), (0, stamp.MAX_SECTOR, 1, 1), (0, 0, 1, 0)],
)
def test_numbers_outside_their_range_are_refused(
    tag: int, sector: int, count: int, seq: int
) -> None:
    with pytest.raises(ValueError, match="outside"):
        stamp.build(tag, sector, count, seq)


def test_parts_of_sectors_are_refused() -> None:
    with pytest.raises(ValueError, match="whole sectors"):
        stamp.scan(bytes(100), 0)

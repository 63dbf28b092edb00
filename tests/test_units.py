"""Sizes as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.units import format_size, parse_size, sectors


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), (513, 513), ("8s", 4096), ("64KiB", 65536), ("16 MiB", 1 << 24), ("64TiB", 1 << 46)],
)
def test_sizes_are_read(text: str | int, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "12MB", "-1", "1.5GiB", "MiB", -1, True])
def test_other_text_is_refused_with_an_example(text: str | int) -> None:
    with pytest.raises(ValueError, match="size"):
        parse_size(text)


@given(st.integers(min_value=0, max_value=1 << 60))
def test_spelling_is_exact(size: int) -> None:
    assert parse_size(format_size(size)) == size


def test_half_sectors_are_refused() -> None:
    assert sectors(1024) == 2
    with pytest.raises(ValueError, match="1000 bytes"):
        sectors(1000)

"""The module's pure arithmetic, run in user space under the sanitizers.

Each ``guest_module/test/*_test.c`` is a program that is silent and ends with 0 when all is right.
That they would see a mistake is proven with mistakes: at least one in each function.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

MODULE = Path(__file__).resolve().parents[2] / "guest_module"
PROGRAMS = sorted((MODULE / "test").glob("*_test.c"))
HEADERS = sorted(MODULE.glob("*_core.h"))
WARNINGS = ("-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
FUNCTION = re.compile(r"^(?:static inline [^;{]*?|)\b(\w+)\([^;{]*\)\n\{", re.MULTILINE)

# Function, what stands there, and the mistake.
MISTAKES = (
    ("cbt_count_blocks", "(capacity & mask) ? 1 : 0", "0"),
    (
        "cbt_count_blocks",
        "(capacity >> bits) + ((capacity & mask) ? 1 : 0)",
        "(capacity + mask) >> bits",
    ),
    ("cbt_geometry_choose", "++shift);", "shift *= 2);"),
    ("cbt_geometry_choose", "count > maximum_count", "count >= maximum_count"),
    ("cbt_geometry_choose", "shift < CBT_SHIFT_LIMIT", "shift <= CBT_SHIFT_LIMIT"),
    ("cbt_geometry_choose", "count > CBT_COUNT_LIMIT", "count > CBT_COUNT_LIMIT + 1ull"),
    ("cbt_range_valid", "count <= capacity - sector", "sector + count <= capacity"),
    ("cbt_range_valid", "return count &&", "return"),
    ("cbt_range_blocks", "sector + count - 1", "sector + count"),
    ("cbt_range_blocks", "sector >= geometry->capacity", "sector > geometry->capacity"),
    ("cbt_number_wraps", "previous >= CBT_NUMBER_LAST", "previous > CBT_NUMBER_LAST"),
    ("cbt_raise", "*bytes < number", "*bytes <= number + 1"),
    ("chunk_count_of", "(capacity & mask) ? 1 : 0", "1"),
    ("chunk_shift_choose", "shift++", "shift += shift"),
    ("chunk_shift_choose", "> maximum_count", ">= maximum_count"),
    ("chunk_span_of", "count > capacity - sector", "sector + count > capacity"),
    ("chunk_span_of", "- span.first + 1", "- span.first"),
    ("chunk_first_sector", "number <<", "(u64)(u32)number <<"),
    ("chunk_sectors_of", "left < size ? left : size", "size"),
    ("chunk_range_present", "count <= capacity - sector", "sector + count <= capacity"),
    ("chunk_range_present", "sector <= capacity", "sector < capacity"),
    ("chunk_storage_sectors", "CHUNK_STORAGE_UNIT - 1) &", "CHUNK_STORAGE_UNIT) &"),
    ("chunk_storage_sectors", "~(u64)(CHUNK", "~(u32)(CHUNK"),
    ("chunk_buffer_shift", "shift < CHUNK_BUFFER", "shift > CHUNK_BUFFER"),
    ("chunk_buffer_shift", "MAXIMUM ? shift", "MAXIMUM ? shift - 1"),
    ("chunk_buffer_count", "chunk_buffer_shift(shift)", "shift"),
    ("chunk_buffer_reserve", "count > 16 ? 16", "count > 16 ? 17"),
    ("chunk_buffer_reserve", "count < 1 ? 1", "count < 1 ? 0"),
    ("chunk_buffer_limit", "wanted < reserve ? reserve : wanted", "wanted"),
    ("chunk_buffer_limit", "wanted > most", "wanted > 2 * most"),
    ("storage_account_init", "requested = portion", "requested = 0"),
    ("storage_account_init", "waiting = false", "waiting = true"),
    (
        "storage_account_ask",
        "filled + half < account->requested",
        "filled + half <= account->requested",
    ),
    ("storage_account_ask", "account->waiting ||", ""),
    ("storage_account_ask", "account->portion) + 1)", "account->portion))"),
    (
        "storage_account_ask",
        "requested > STORAGE_REQUESTED_LIMIT",
        "requested >= STORAGE_REQUESTED_LIMIT",
    ),
    ("storage_account_ask", "account->capacity < account->requested", "true"),
    ("storage_account_unask", "requested -= asked", "requested -= 0 * asked"),
    ("storage_account_unask", "account->waiting = false", "account->waiting = true"),
    ("storage_account_append", "capacity += sectors", "capacity = sectors"),
    ("storage_account_append", "account->capacity >= account->requested", "sectors"),
    ("storage_account_fits", "sectors <= account", "sectors < account"),
    ("storage_account_fill", "filled += sectors", "filled += sectors + 8"),
    ("storage_range_valid", "(sector | count)", "sector"),
    ("storage_range_valid", "sector < capacity &&", ""),
    ("storage_range_valid", "count <= capacity - sector", "sector + count <= capacity"),
)

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler (gcc) here")


def build(source: Path, program: Path, *flags: str) -> None:
    built = subprocess.run(
        ["gcc", *flags, "-o", program, source], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr


def run(program: Path) -> tuple[int, str, str]:
    ran = subprocess.run([program], capture_output=True, text=True, check=False, timeout=120)
    return ran.returncode, ran.stdout, ran.stderr


def functions(header: Path) -> dict[str, tuple[int, int]]:
    """Where the text of each function begins and ends."""
    text = header.read_text()
    found = list(FUNCTION.finditer(text))
    return {one[1]: (one.start(), text.index("\n}\n", one.end())) for one in found}


def with_mistake(header: Path, function: str, right: str, wrong: str) -> str:
    """The header with one place of one function changed."""
    text = header.read_text()
    start, end = functions(header)[function]
    body = text[start:end]
    assert body.count(right) == 1, f"{right!r} is there {body.count(right)} times"
    return text[:start] + body.replace(right, wrong) + text[end:]


def test_there_are_programs() -> None:
    assert PROGRAMS


@pytest.mark.parametrize("source", PROGRAMS, ids=lambda source: source.stem)
def test_arithmetic_holds_under_sanitizers(source: Path, tmp_path: Path) -> None:
    program = tmp_path / source.stem
    build(source, program, *WARNINGS, *SANITIZERS)
    assert run(program) == (0, "", "")


def test_each_function_has_its_mistake() -> None:
    there = {name for header in HEADERS for name in functions(header)}
    assert there == {function for function, _, _ in MISTAKES}


@pytest.mark.parametrize(
    ("function", "right", "wrong"), MISTAKES, ids=[f"{one[0]}-{one[1]}" for one in MISTAKES]
)
def test_generated_inputs_find_each_mistake(
    function: str, right: str, wrong: str, tmp_path: Path
) -> None:
    for header in HEADERS:
        mistaken = function in functions(header)
        text = with_mistake(header, function, right, wrong) if mistaken else header.read_text()
        (tmp_path / header.name).write_text(text)
    (tmp_path / "test").mkdir()
    source = tmp_path / "test" / "generated_test.c"
    source.write_text((MODULE / "test" / "generated_test.c").read_text())
    build(source, tmp_path / "program", "-std=gnu11", "-DROUNDS=20000")
    assert run(tmp_path / "program")[0] != 0

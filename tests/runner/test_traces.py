"""Places in a module are told as lines of its sources; what cannot be decoded stays as it is."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.modbuild import BuildFacts, BuiltModule
from lab.process import run
from lab.runner.traces import Traces
from lab.runner.verdict import RunResult

from .conftest import CYCLE
from .fake_guest import FakeTemplate, Misfortune

SOURCE = """\
void other(int);
static int twice(int x) { other(x); return x * 2; }
int chunk_store(int x)
{
    other(x);
    return twice(x) + 1;
}
"""
SECOND = """\
void other(int);
void more(void);
__attribute__((noinline)) static int helper(int x)
{
    other(x); more(); other(x + 1); more(); other(x + 2);
    return x;
}
int second(int x) { return helper(x) + 7; }
"""
FIRST = """\
void other(int);
__attribute__((noinline)) static int helper(int x)
{
    other(x);
    return x;
}
int first(int x) { return helper(x) + 3; }
"""


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a relocatable object that is called blksnap.ko."""
    folder = tmp_path_factory.mktemp("debug")
    objects = []
    for name, text in (("chunk", SOURCE), ("one", FIRST), ("two", SECOND)):
        source, made = folder / f"{name}.c", folder / f"{name}.o"
        source.write_text(text)
        flags = ["-g", "-O1", "-finline-functions-called-once", "-fno-optimize-sibling-calls"]
        run(["gcc", *flags, "-c", str(source), "-o", str(made)], timeout=60)
        objects.append(str(made))
    run(["ld", "-r", "-o", str(folder / "blksnap.ko"), *objects], timeout=60)
    return folder


def sizes(modules: Path, name: str) -> list[int]:
    told = run(["readelf", "-sW", str(modules / "blksnap.ko")], timeout=60)
    return [int(size) for size in re.findall(rf"(\d+) FUNC .* {name}$", told, re.MULTILINE)]


def calls(modules: Path, name: str) -> list[int]:
    """Offsets behind the calls of a function, as return addresses are."""
    told = run(["objdump", "-dr", str(modules / "blksnap.ko")], timeout=60)
    body = told.split(f"<{name}>:\n")[1].split("\n\n")[0].splitlines()
    start = int(told.split(f" <{name}>:\n")[0].splitlines()[-1], 16)
    code = [line for line in body if re.match(r"\s+[0-9a-f]+:\t[0-9a-f]{2} ", line)]
    after = itertools.pairwise(code)
    return [int(b.split(":")[0], 16) - start for a, b in after if "\tcall" in a]


def test_a_return_address_is_the_line_of_its_call(modules: Path) -> None:
    (size,) = sizes(modules, "chunk_store")
    first, second = calls(modules, "chunk_store")
    lines = [
        f"<4>[    1.0]  chunk_store+{offset:#x}/{size + 9:#x} [blksnap]"
        for offset in (first, second)
    ]
    made = Traces(modules).decoded(["Call Trace:", *lines])
    assert made[0] == "Call Trace:"
    assert made[1] == f"{lines[0]}  chunk.c:5"
    assert made[2] == f"{lines[1]}  chunk.c:6 > chunk.c:2 (twice)"


def test_the_instruction_of_a_fault_is_the_very_one(modules: Path) -> None:
    (size,) = sizes(modules, "chunk_store")
    line = f"RIP: 0010:chunk_store+0x0/{size:#x} [blksnap]"
    assert Traces(modules).places([line]) == {line[10:]: "chunk.c:4"}


def test_functions_of_one_name_are_told_apart_by_their_size(modules: Path) -> None:
    small, large = sorted(sizes(modules, "helper"))
    traces = Traces(modules)
    for size, place in ((small, "one.c:3"), (large, "two.c:4")):
        (line,) = traces.decoded([f"RIP: 0010:helper+0x0/{size + 5:#x} [blksnap]"])
        assert line.endswith(f"  {place}")
    (line,) = traces.decoded(["RIP: 0010:helper+0x0/0x1 [blksnap]"])
    assert line.endswith("  one.c:3 or two.c:4")


@pytest.mark.parametrize(
    "line",
    [
        " do_syscall_64+0x59/0xc0",
        " no_such_function+0x1/0x2 [blksnap]",
        " chunk_store+0x1/0x2 [dm_mod]",
        "blksnap: loaded",
        "",
    ],
)
def test_what_cannot_be_decoded_stays_as_it_is(modules: Path, line: str) -> None:
    assert Traces(modules).decoded([line]) == (line,)
    assert Traces(None).decoded([line]) == (line,)


def test_a_module_that_cannot_be_read_leaves_the_trace_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "blksnap.ko").write_text("no ELF")
    line = " chunk_store+0x1/0x2 [blksnap]"
    assert Traces(tmp_path).decoded([line]) == (line,)


def test_a_panic_names_the_line_in_its_verdict_and_in_the_results(
    tmp_path: Path, run_all: Callable[..., RunResult]
) -> None:
    folder = tmp_path / "built" / "debug"
    folder.mkdir(parents=True)
    source = folder / "snapshot.c"
    source.write_text(
        "\n\nint x[99]; void snapshot_take(void) { for (int n = 0; n < 99; n++)"
        " x[n] = x[98 - n] * 3 % 7; }\n"
    )
    run(["gcc", "-g", "-c", str(source), "-o", str(folder / "blksnap.ko")], timeout=60)
    built = BuiltModule(folder.parent, BuildFacts("key", "6.1", "gcc", ("blksnap.ko",), ()))
    template = FakeTemplate(misfortunes=(Misfortune("snapshot_take", "panic"),), module=built)
    result = run_all(CYCLE, template=template).results[0]
    line = "snapshot_take+0x5/0x100 [blksnap]"
    assert result.folder is not None
    assert any(f"{line}  snapshot.c:3" in text for text in result.findings[0].detail)
    assert f"{line}  snapshot.c:3" in (result.folder / "splats.txt").read_text()
    assert f'"{line}": "snapshot.c:3"' in (result.folder / "places.json").read_text()

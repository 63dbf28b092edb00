"""Coverage as lcov's tools read it (geninfo(1), "FILES")."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lab.coverage.lines import Reached


def lcov(reached: Reached, module: Path) -> str:
    """The text of a tracefile; paths are those of the module's folder."""
    return "".join(f"{line}\n" for name in reached.files for line in _record(reached, name, module))


def _record(reached: Reached, name: str, module: Path) -> Iterator[str]:
    yield "TN:"
    yield f"SF:{module.resolve() / name}"
    functions = [one for one in reached.functions.values() if one.file == name]
    for one in functions:
        yield f"FN:{one.line},{one.name}"
    for one in functions:
        yield f"FNDA:{one.count},{one.name}"
    yield f"FNF:{len(functions)}"
    yield f"FNH:{sum(bool(one.count) for one in functions)}"
    lines = sorted((line, n) for (file, line), n in reached.lines.items() if file == name)
    for line, _ in lines:
        executed = reached.lines[name, line]
        for number, count in enumerate(reached.branches.get((name, line), ())):
            yield f"BRDA:{line},0,{number},{count if executed else '-'}"
    branches, total = reached.branch_share(name), reached.line_share(name)
    yield f"BRF:{branches.total}"
    yield f"BRH:{branches.reached}"
    for line, count in lines:
        yield f"DA:{line},{count}"
    yield f"LF:{total.total}"
    yield f"LH:{total.reached}"
    yield "end_of_record"

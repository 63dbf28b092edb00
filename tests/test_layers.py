"""Imports go down only; the picture is in docs/architecture.md."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAB = ROOT / "lab"

# Each part, and the parts of the lab it may import besides itself.
BASE = {"errors", "units", "progress", "stamp", "filedata", "data", "flavour", "host"}
HOST_TOOLS = BASE | {"cache", "programs", "process", "progress", "estimates"}
GUEST = HOST_TOOLS | {
    "accel",
    "image",
    "compiler_cache",
    "instrument",
    "modbuild",
    "modready",
    "crash",
    "guest",
    "series",
}
PURE = BASE | {"scenario", "model"}
RUNNER = GUEST | PURE | {"bench", "tap", "runner"}
ALLOWED = {
    "errors": set(),
    "units": set(),
    "data": set(),
    "host": {"units"},
    "flavour": {"errors"},
    "contract": {"data"},
    "stamp": {"units"},
    "filedata": set(),
    "blksnap": set(),
    "agent": BASE | {"blksnap"},
    "crash": BASE,
    "tap": BASE,
    "cache": BASE | {"progress"},
    "programs": BASE,
    "process": BASE | {"programs"},
    "estimates": BASE | {"cache"},
    "progress": set(),
    "accel": GUEST - {"modbuild"},
    "image": HOST_TOOLS,
    "compiler_cache": GUEST,
    "instrument": GUEST - {"modbuild"},
    "series": BASE,
    "modbuild": GUEST,
    "modready": HOST_TOOLS | {"image"},
    "guest": GUEST,
    "scenario": BASE | {"scenario"},
    "model": PURE,
    "runner": RUNNER,
    "report": RUNNER,
    "docs": RUNNER,
    "coverage": RUNNER | {"report"},
    "replay": RUNNER,
    "mutate": RUNNER | {"static"},
    "doctor": GUEST,
    "static": GUEST,
    "bench": GUEST | {"bench"},
    "ci": GUEST,
}
TOP = {"cli", "pytest_plugin", "__main__"}
STDLIB_ONLY = {"errors", "units", "stamp", "filedata", "blksnap", "agent"}


def part(path: Path) -> str:
    return path.relative_to(LAB).parts[0].removesuffix(".py")


def imports(path: Path) -> list[str]:
    """Full dotted names that a file imports, relative ones resolved."""
    package = [*path.relative_to(ROOT).parts[:-1]]
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names += [
                f"{module}.{alias.name}" if module == "lab" else module for alias in node.names
            ]
    return names


FILES = sorted(p for p in LAB.rglob("*.py") if p.parent != LAB or p.name != "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down_only(path: Path) -> None:
    me = part(path)
    if me in TOP:
        return
    used = {name.split(".")[1] for name in imports(path) if name.startswith("lab.")}
    assert me in ALLOWED, f"{me} is not in the table of layers in this test"
    assert used <= ALLOWED[me] | {me}, f"{path}: {used - ALLOWED[me] - {me}} is above {me}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_what_runs_in_guests_needs_the_standard_library_only(path: Path) -> None:

    if part(path) not in STDLIB_ONLY:
        return
    tops = {name.split(".")[0] for name in imports(path)} - {"lab"}
    assert tops <= set(sys.stdlib_module_names), f"{path} imports {tops}"

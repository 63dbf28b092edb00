"""gcov, of the Debian that the guests' compiler is of, in a small root in the cache.

Its JSON has, for each compiled file, lines and branches of that and of all headers with their
counts. Only what lies below the module's folder is of interest.
"""

from __future__ import annotations

import json
import posixpath
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.cache import Cache
from lab.coverage.lines import Function, Place, Reached, added
from lab.errors import LabError
from lab.image import Kernel, Recipe, Toolbox, unpack_toolbox
from lab.image.toolbox import EXCLUDED
from lab.modbuild import SOURCE
from lab.progress import Progress, ProgressSink, silent

STAGE = "coverage"
LIMIT = 900.0
_OUTPUT, _COMPLAINTS = "lines.json", "complaints.txt"
_SCRIPT = f"""
for reading in /mnt/readings/*; do
    cd $reading
    gcov --stdout --json-format --branch-counts --branch-probabilities *.gcno \\
        >{_OUTPUT} 2>{_COMPLAINTS} || exit
done
"""
# All it may say; counters that do not belong to the notes would otherwise count as zeros.
_HARMLESS = re.compile(r"\S+:cannot open data file, assuming not executed")


def prepare_gcov(kernel: Kernel, cache: Cache, progress: ProgressSink = silent) -> Toolbox:
    """The root with gcov for modules of a kernel: from the cache, or made now (a minute)."""
    recipe = Recipe(kernel=kernel, packages=("gcc",), excluded=EXCLUDED)
    return unpack_toolbox(recipe, cache, progress)


def reached_by(
    readings: Sequence[Mapping[str, bytes]],
    notes: Path,
    toolbox: Toolbox,
    cache: Cache,
    progress: ProgressSink = silent,
) -> list[Reached]:
    """What each reading of the counters (content by the guest's name of the file) has reached.

    notes: folder with the compiler's notes. LabError if they are of another build.
    """
    progress(Progress(STAGE, "reading counters"))
    with cache.scratch("coverage") as work:
        for number, reading in enumerate(readings):
            _lay_out(work / "readings" / f"{number:04}", reading, notes)
        toolbox.run(work, _SCRIPT, timeout=LIMIT)
        return [_read(folder) for folder in sorted((work / "readings").iterdir())]


def _lay_out(folder: Path, reading: Mapping[str, bytes], notes: Path) -> None:
    """gcov finds counters beside notes of the same name."""
    folder.mkdir(parents=True)
    for note in notes.rglob("*.gcno"):
        shutil.copyfile(note, folder / _flat(note.relative_to(notes).as_posix()))
    for name, content in reading.items():
        (folder / _flat(posixpath.relpath(name, SOURCE))).write_bytes(content)


def _flat(name: str) -> str:
    return name.replace("/", "#")


def _read(folder: Path) -> Reached:
    said = (folder / _COMPLAINTS).read_text(encoding="utf-8", errors="replace")
    wrong = [line for line in said.splitlines() if not _HARMLESS.fullmatch(line)]
    if wrong:
        raise LabError(f"gcov: {wrong[0]}", "results and notes are of different builds: run again")
    with (folder / _OUTPUT).open(encoding="utf-8") as output:
        return reached(json.loads(line) for line in output)


def reached(units: Iterable[Mapping[str, Any]]) -> Reached:
    """What gcov says of compiled files, a JSON object each."""
    return added(_of_file(name, file) for unit in units for name, file in _files(unit))


def _files(unit: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The module's files in a unit, by their names below its folder."""
    for file in unit["files"]:
        path = posixpath.join(unit["current_working_directory"], file["file"])
        if path.startswith(f"{SOURCE}/"):
            yield posixpath.relpath(path, SOURCE), file


def _of_file(name: str, file: Mapping[str, Any]) -> Reached:
    lines: dict[Place, int] = {}
    branches: dict[Place, tuple[int, ...]] = {}
    for line in file["lines"]:
        place = name, int(line["line_number"])
        lines[place] = lines.get(place, 0) + int(line["count"])
        counts = tuple(int(branch["count"]) for branch in line["branches"])
        if counts:
            branches[place] = branches.get(place, ()) + counts
    functions = {
        (name, one["name"]): Function(
            name, one["name"], int(one["start_line"]), int(one["execution_count"])
        )
        for one in file["functions"]
    }
    return Reached(lines, branches, functions)

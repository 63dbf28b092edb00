"""Which lines of the module a patch touches: those that differ from a revision, by git."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from lab.coverage.lines import Place
from lab.errors import UsageError
from lab.process import CommandFailed, run

LIMIT = 60.0
_FILE = re.compile(r"\+\+\+ (?:b/)?(.+)")
_HUNK = re.compile(r"@@ -\S+ \+(\d+)(?:,(\d+))? @@")


def changed_lines(module: Path, revision: str, sources: Mapping[str, str]) -> list[Place]:
    """Lines of the module's sources, as they are in its folder, that are not in the revision.

    sources: as the run had them. UsageError if those are others than in the folder, or git knows
    no such revision.
    """
    argv = ["git", "-C", str(module), "diff", "--unified=0", "--no-color", "--no-ext-diff"]
    try:
        text = run([*argv, "--relative", revision, "--", "."], timeout=LIMIT)
    except CommandFailed as error:
        raise UsageError(f"git diff {revision}: {error.output.strip()}") from error
    changed = [place for place in parse_diff(text) if place[0] in sources]
    for name in dict.fromkeys(file for file, _ in changed):
        if (module / name).read_text(encoding="utf-8", errors="replace") != sources[name]:
            raise UsageError(
                f"the run had another {name} than {module} has", "`blksnap-lab run --coverage`"
            )
    return changed


def parse_diff(text: str) -> list[Place]:
    """The lines that a diff without context adds or changes."""
    found: list[Place] = []
    name = ""
    for line in text.splitlines():
        if file := _FILE.fullmatch(line):
            name = file[1]
        elif hunk := _HUNK.match(line):
            first, count = int(hunk[1]), int(hunk[2] or 1)
            found += [(name, number) for number in range(first, first + count)]
    return found

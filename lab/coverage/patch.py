"""Which lines of the module a patch touches: those that differ from a revision, by git."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from lab.coverage.lines import Place
from lab.errors import UsageError
from lab.process import CommandFailed, run

LIMIT = 60.0
# Whatever a person has configured: names as they are, with prefixes that are known.
_DIFF = (
    *("diff", "--unified=0", "--inter-hunk-context=0", "--no-color", "--no-ext-diff"),
    *("--src-prefix=a/", "--dst-prefix=b/"),
)
_FILE = re.compile(r"\+\+\+ b/(.+)")
_HUNK = re.compile(r"@@ -\S+ \+(\d+)(?:,(\d+))? @@")


def changed_lines(module: Path, revision: str, sources: Mapping[str, str]) -> list[Place]:
    """Lines of the module's sources, as they are in its folder, that are not in the revision.

    All lines of a source that git does not know yet are new.

    sources: as the run had them. UsageError if those are others than in the folder, or git knows
    no such revision.
    """
    git = ["git", "-C", str(module), "-c", "core.quotePath=off"]
    try:
        text = run([*git, *_DIFF, "--relative", revision, "--", "."], timeout=LIMIT)
        unknown = run([*git, "ls-files", "--others", "--", "."], timeout=LIMIT).splitlines()
    except CommandFailed as error:
        raise UsageError(f"git diff {revision}: {error.output.strip()}") from error
    touched = parse_diff(text)
    touched += [
        (name, number)
        for name in unknown
        if name in sources
        for number, _ in enumerate(sources[name].splitlines(), 1)
    ]
    changed = [place for place in touched if place[0] in sources]
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

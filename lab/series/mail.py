"""A patch as a mail that `git am` and `patch -p1` take."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

_FILE = re.compile(r"^--- a/(\S+)$", re.MULTILINE)
_BAR = 40
"""Most signs of a file in the overview."""


@dataclass(frozen=True)
class Change:
    """What a patch does to a file: its part of the diff, lines added and removed."""

    name: str
    diff: str
    added: int
    removed: int
    is_new: bool


def new_file(name: str, text: str) -> Change:
    """A file that was not there."""
    lines = text.splitlines()
    digest = hashlib.sha1(f"blob {len(text.encode())}\0{text}".encode()).hexdigest()[:12]
    head = (
        f"diff --git a/{name} b/{name}\nnew file mode 100644\nindex 000000000000..{digest}\n"
        f"--- /dev/null\n+++ b/{name}\n@@ -0,0 +1,{len(lines)} @@\n"
    )
    return Change(name, head + "".join(f"+{line}\n" for line in lines), len(lines), 0, True)


def edits(text: str) -> list[Change]:
    """Changes to files that are there, from a unified diff."""
    starts = [match.start() for match in _FILE.finditer(text)]
    parts = [text[a:b] for a, b in zip(starts, [*starts[1:], len(text)], strict=True)]
    return [_edit(part) for part in parts]


def _edit(part: str) -> Change:
    name = part.splitlines()[0].removeprefix("--- a/")
    body = part.splitlines()[2:]
    added = sum(line.startswith("+") for line in body)
    removed = sum(line.startswith("-") for line in body)
    return Change(name, f"diff --git a/{name} b/{name}\n{part}", added, removed, False)


def overview(changes: list[Change]) -> str:
    """How much of each file changes, as `git diff --stat` tells it."""
    width = max(len(change.name) for change in changes)
    most = max(change.added + change.removed for change in changes)
    digits = len(str(most))
    lines = []
    for change in changes:
        total = change.added + change.removed
        scale = min(1.0, _BAR / most)
        plus = max(1, round(change.added * scale)) if change.added else 0
        minus = max(1, round(change.removed * scale)) if change.removed else 0
        bar = "+" * plus + "-" * minus
        lines.append(f" {change.name:{width}} | {total:{digits}} {bar}\n")
    added = sum(change.added for change in changes)
    removed = sum(change.removed for change in changes)
    files = f"{len(changes)} file{'s' if len(changes) > 1 else ''} changed"
    told = [files, f"{added} insertion{'s' if added != 1 else ''}(+)"]
    if removed:
        told.append(f"{removed} deletion{'s' if removed != 1 else ''}(-)")
    new = [f" create mode 100644 {change.name}\n" for change in changes if change.is_new]
    return "".join([*lines, f" {', '.join(told)}\n", *new])


def mail(headers: Mapping[str, str], message: str, changes: list[Change]) -> str:
    """The whole of it: headers From, Date and Subject, message, overview, diff."""
    changes = sorted(changes, key=lambda change: change.name)
    head = "".join(f"{name}: {value}\n" for name, value in headers.items())
    signed = f"Signed-off-by: {headers['From']}"
    diff = "".join(change.diff for change in changes)
    return f"{head}\n{message.strip()}\n\n{signed}\n---\n{overview(changes)}\n{diff}"

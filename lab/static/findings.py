"""What the checkers found, and the list of what was reviewed and found to be no mistake.

A reviewed finding is a line of guest_module/test/reviewed-findings.txt; two spaces or more between
its fields:

    checker  file pattern  kind  how many, or *  why it is no mistake
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatch
from pathlib import Path

from lab.errors import UsageError

ANY = "*"
_FIELDS = 5


class Checker(StrEnum):
    """Who looks at the module."""

    COMPILER = "compiler"
    SPARSE = "sparse"
    ANALYZER = "analyzer"
    CHECKPATCH = "checkpatch"


@dataclass(frozen=True, order=True)
class Finding:
    """A complaint. `kind` is an option (-Wunused), a type of checkpatch, or sparse's own text."""

    file: str
    line: int
    checker: Checker
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.checker}: {self.text} [{self.kind}]"


@dataclass(frozen=True)
class Review:
    """A line of the list; `count` None: any number. `place` is where it stands, for messages."""

    checker: Checker
    pattern: str
    kind: str
    count: int | None
    reason: str
    place: str

    def covers(self, finding: Finding) -> bool:
        """Whether the finding is one of those that were reviewed."""
        same = finding.checker is self.checker and finding.kind == self.kind
        return same and fnmatch(finding.file, self.pattern)


@dataclass(frozen=True)
class Judgement:
    """Findings that nobody has reviewed, reviews that no longer fit, findings that are known."""

    new: tuple[Finding, ...]
    stale: tuple[str, ...]
    known: int

    @property
    def clean(self) -> bool:
        """Nothing is to be done."""
        return not self.new and not self.stale


def judge(findings: list[Finding], reviews: list[Review]) -> Judgement:
    """Compare what was found with what was reviewed; numbers have to be exactly as reviewed."""
    new: list[Finding] = []
    stale: list[str] = []
    groups: dict[Review, list[Finding]] = {review: [] for review in reviews}
    for finding in sorted(findings):
        review = next((one for one in reviews if one.covers(finding)), None)
        (new if review is None else groups[review]).append(finding)
    for review, found in groups.items():
        wanted = review.count
        if wanted is not None and len(found) > wanted:
            new += found
        elif len(found) < (wanted or 1):
            stale.append(f"{review.place}: {wanted or 'some'} reviewed, {len(found)} found")
    known = len(findings) - len(new)
    return Judgement(tuple(sorted(new)), tuple(stale), known)


def read_reviews(path: Path) -> list[Review]:
    """The list of a module; empty if it has none. UsageError with all lines that make no sense."""
    if not path.is_file():
        return []
    reviews: list[Review] = []
    wrong: list[str] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        review = _review(line, f"{path.name}:{number}")
        if review is None:
            wrong.append(f"{path}:{number}: {line}")
        else:
            reviews.append(review)
    if wrong:
        raise UsageError("\n".join(wrong), "checker  file  kind  count or *  reason")
    return reviews


def _review(line: str, place: str) -> Review | None:
    fields = re.split(r"\s{2,}", line.strip(), maxsplit=_FIELDS - 1)
    if len(fields) != _FIELDS or fields[0] not in list(Checker):
        return None
    checker, pattern, kind, count, reason = fields
    if count != ANY and (not count.isdecimal() or int(count) == 0):
        return None
    number = None if count == ANY else int(count)
    return Review(Checker(checker), pattern, kind, number, reason, place)

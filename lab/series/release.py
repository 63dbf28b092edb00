"""C sources for one kernel release: conditions on the version of the kernel are decided.

Sources outside of a kernel tree ask LINUX_VERSION_CODE; inside, there is one version. What is not
for the release goes, and so does a comment that is left with nothing to explain. Other conditions
stay as they are.
"""

import re
from dataclasses import dataclass, field

from lab.errors import LabError

Release = tuple[int, int, int]

_DIRECTIVE = re.compile(r"#\s*(if|ifdef|ifndef|elif|else|endif)\b(.*)", re.DOTALL)
_COMPARED = re.compile(r"LINUX_VERSION_CODE\s*(<|>=)\s*KERNEL_VERSION\((\d+),\s*(\d+),\s*(\d+)\)")
_VERSION_HEADER = "#include <linux/version.h>"


@dataclass
class _Branch:
    """A branch of a condition; `decided`: whether it is taken, None if that is not known here."""

    directive: str
    decided: bool | None
    body: list[str] = field(default_factory=list)


def parse_release(text: str) -> Release:
    """A kernel release such as "6.1" as numbers. LabError if it is none."""
    if not re.fullmatch(r"\d+\.\d+", text):
        raise LabError(f"{text!r} is no kernel release", "e.g. 6.1")
    major, minor = text.split(".")
    return int(major), int(minor), 0


def for_release(text: str, release: Release) -> str:
    """A source as it is for a release. LabError if its conditions cannot be followed."""
    if "LINUX_VERSION_CODE" not in text:
        return _without_header(text)
    lines = _lines(text)
    kept, rest = _block(lines, 0, release)
    if rest != len(lines):
        raise LabError(f"a condition ends that has not begun: {lines[rest]!r}")
    return _without_header("".join(f"{line}\n" for line in kept))


def _without_header(text: str) -> str:
    """Nobody asks for the version any more; and no empty line follows another."""
    text = text.replace(f"{_VERSION_HEADER}\n", "")
    return re.sub(r"\n{3,}", "\n\n", text)


def _lines(text: str) -> list[str]:
    """Lines, a directive with those that continue it as one."""
    lines: list[str] = []
    for line in text.splitlines():
        if lines and lines[-1].endswith("\\") and lines[-1].lstrip().startswith(("#if", "#elif")):
            lines[-1] += f"\n{line}"
        else:
            lines.append(line)
    return lines


def _block(lines: list[str], at: int, release: Release) -> tuple[list[str], int]:
    """Lines from `at` up to the directive that ends the block they are in; where that is."""
    kept: list[str] = []
    while at < len(lines):
        match = _DIRECTIVE.fullmatch(lines[at].strip())
        if match is None:
            kept.append(lines[at])
            at += 1
        elif match[1] in ("if", "ifdef", "ifndef"):
            chosen, at = _condition(lines, at, release)
            if not chosen:
                _drop_comment(kept)
            kept += chosen
        else:
            return kept, at
    return kept, at


def _condition(lines: list[str], at: int, release: Release) -> tuple[list[str], int]:
    """What is left of a whole condition that begins at `at`; where the lines after it are."""
    branches: list[_Branch] = []
    while True:
        if at >= len(lines):
            raise LabError("a condition has no #endif")
        directive = lines[at].strip()
        word = _word(directive)
        if word == "endif":
            return _remaining(branches), at + 1
        branch = _Branch(directive, _decide(directive, release))
        branch.body, at = _block(lines, at + 1, release)
        branches.append(branch)


def _word(directive: str) -> str:
    match = _DIRECTIVE.fullmatch(directive)
    return match[1] if match else ""


def _remaining(branches: list[_Branch]) -> list[str]:
    """The branches that may be taken, with new directives where one has gone."""
    left: list[_Branch] = []
    for branch in branches:
        if branch.decided is not False:
            left.append(branch)
        if branch.decided:
            break
    if not left or left[0].decided:
        return left[0].body if left else []
    lines: list[str] = []
    for number, branch in enumerate(left):
        if branch.decided:
            lines.append("#else")
        elif number == 0:
            lines.append(re.sub(r"^#\s*elif", "#if", branch.directive))
        else:
            lines.append(branch.directive)
        lines += branch.body
    return [*lines, "#endif"]


def _decide(directive: str, release: Release) -> bool | None:
    """Whether a branch is taken: known of #else, and of what compares versions only."""
    if _word(directive) == "else":
        return True
    match = _DIRECTIVE.fullmatch(directive)
    if match is None or "LINUX_VERSION_CODE" not in directive:
        return None
    terms = re.sub(r"\\\n", " ", match[2]).split("&&")
    compared = [_COMPARED.fullmatch(term.strip()) for term in terms]
    results: list[bool] = []
    for one in compared:
        if one is None:
            raise LabError(
                f"this condition on the version is too much to be decided: {directive!r}",
                "comparisons by < and >=, joined by &&",
            )
        asked = (int(one[2]), int(one[3]), int(one[4]))
        results.append(release < asked if one[1] == "<" else release >= asked)
    return all(results)


def _drop_comment(kept: list[str]) -> None:
    """Remove a comment at the end, with the empty line before it."""
    if not kept or not kept[-1].rstrip().endswith("*/"):
        return
    while kept:
        line = kept.pop()
        if line.lstrip().startswith("/*"):
            break
    if kept and not kept[-1].strip():
        kept.pop()

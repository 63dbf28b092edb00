"""What the checkers print is understood, and compared with what was reviewed."""

from pathlib import Path

import pytest

from lab.errors import LabError, UsageError
from lab.static.checkers import build_findings, style_findings
from lab.static.findings import Checker, Finding, Review, judge, read_reviews

BUILT = "  LD [M]  /mnt/blksnap.o\n"
WARNINGS = """\
  CC [M]  /mnt/chunk.o
/mnt/chunk.c:12:6: warning: no previous prototype for ‘f’ [-Wmissing-prototypes]
  CHECK   /mnt/chunk.c
/mnt/chunk.c:20:9: warning: incorrect type in argument 1 (different address spaces)
/mnt/chunk.c:20:9: warning:    expected void const *from
/mnt/chunk.c:20:9: warning:    got void [noderef] __user *p
"""
ANALYZED = """\
In file included from /usr/src/linux-headers-6.1/include/linux/preempt.h:12,
                 from /mnt/diff_storage.c:16:
In function ‘list_is_last’,
    inlined from ‘diff_range_next’ at /mnt/diff_storage.c:355:6,
    inlined from ‘diff_storage_count’ at /mnt/diff_storage.c:368:11:
/usr/src/linux-headers-6.1/include/linux/list.h:280:20: warning: dereference of NULL ‘range’ \
[CWE-476] [-Wanalyzer-null-dereference]
/mnt/diff_storage.c:367:22: note: (1) following ‘true’ branch (when ‘found < sectors’)...
"""


def finding(line: int = 1, kind: str = "BIT_MACRO", file: str = "a.c") -> Finding:
    return Finding(file, line, Checker.CHECKPATCH, kind, "text")


def review(count: int | None, pattern: str = "a.c") -> Review:
    return Review(Checker.CHECKPATCH, pattern, "BIT_MACRO", count, "because", "list:1")


def test_compiler_and_sparse_are_told_apart() -> None:
    first, second = build_findings(WARNINGS + BUILT)
    assert (first.checker, first.kind) == (Checker.COMPILER, "-Wmissing-prototypes")
    assert (second.checker, second.file, second.line) == (Checker.SPARSE, "chunk.c", 20)
    assert second.kind == "incorrect type in argument 1 (different address spaces)"


def test_finding_in_a_kernel_header_is_that_of_its_caller() -> None:
    (found,) = build_findings(ANALYZED + BUILT)
    assert (found.file, found.line) == ("diff_storage.c", 355)
    assert found.kind == "-Wanalyzer-null-dereference"


def test_build_that_says_nothing_and_builds_nothing_is_no_clean_one() -> None:
    with pytest.raises(LabError, match="does not build"):
        build_findings("make: *** /lib/modules/*/build: No such file or directory.  Stop.\n")
    assert build_findings(BUILT) == []


def test_what_does_not_compile_is_a_finding() -> None:
    (found,) = build_findings("/mnt/a.c:1:1: error: expected ‘;’ before ‘}’ token\n")
    assert found.checker is Checker.COMPILER


def test_style_is_read_and_anything_else_is_an_error() -> None:
    (found,) = style_findings("include/a.h:33: ERROR:SPACING: spaces required around '<'\n")
    assert (found.file, found.line, found.kind) == ("include/a.h", 33, "SPACING")
    with pytest.raises(LabError, match="checkpatch failed"):
        style_findings("Can't open perl script\n")


def test_what_was_not_reviewed_is_new() -> None:
    assert judge([finding()], []).new == (finding(),)
    assert judge([finding(file="b.c")], [review(None)]).new == (finding(file="b.c"),)


def test_reviewed_number_has_to_fit() -> None:
    two = [finding(1), finding(2)]
    assert judge(two, [review(2)]).clean
    assert judge(two, [review(None)]).clean
    assert judge(two, [review(1)]).new == tuple(two)
    assert judge(two, [review(3)]).stale == ("list:1: 3 reviewed, 2 found",)
    assert judge([], [review(None)]).stale == ("list:1: some reviewed, 0 found",)


def test_all_bad_lines_of_the_list_are_told(tmp_path: Path) -> None:
    path = tmp_path / "reviewed.txt"
    path.write_text(
        "# why\n\ncheckpatch  *.h  SPACING  *  a macro\nlint  a  b  *  c\nsparse  a.c\n"
    )
    with pytest.raises(UsageError) as caught:
        read_reviews(path)
    assert ":4:" in caught.value.what
    assert ":5:" in caught.value.what
    path.write_text("checkpatch  *.h  SPACING  2  a macro, taken for a factor\n")
    (one,) = read_reviews(path)
    assert (one.pattern, one.count, one.reason) == ("*.h", 2, "a macro, taken for a factor")
    assert read_reviews(tmp_path / "none") == []

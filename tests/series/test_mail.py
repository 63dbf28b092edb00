"""Patches as text: what git makes of them, and what they make of a tree."""

import shutil
import subprocess
from pathlib import Path

import pytest

from lab.series.mail import edits, mail, new_file, overview

HEADERS = {
    "From": "somebody <somebody@example.org>",
    "Date": "Tue, 24 Nov 2026 12:00:00 +0000",
    "Subject": "[PATCH 01/01] all: change it",
}
EDIT = "--- a/old.txt\n+++ b/old.txt\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n"


def test_the_overview_counts_lines() -> None:
    changes = [*edits(EDIT), new_file("dir/new.txt", "a\nb\n")]
    assert overview(changes).splitlines() == [
        " old.txt     | 2 +-",
        " dir/new.txt | 2 ++",
        " 2 files changed, 3 insertions(+), 1 deletion(-)",
        " create mode 100644 dir/new.txt",
    ]


def test_edits_of_several_files_are_told_apart() -> None:
    text = EDIT + EDIT.replace("old.txt", "other.txt")
    assert [(one.name, one.added, one.removed) for one in edits(text)] == [
        ("old.txt", 1, 1),
        ("other.txt", 1, 1),
    ]
    assert "".join(one.diff for one in edits(EDIT)) == f"diff --git a/old.txt b/old.txt\n{EDIT}"


@pytest.mark.skipif(shutil.which("git") is None, reason="no git here")
def test_git_applies_it_with_author_and_message(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        command = ["git", *who, "-C", str(tmp_path), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    (tmp_path / "old.txt").write_text("one\ntwo\nthree\n")
    git("init", "-q")
    git("add", "old.txt")
    git("commit", "-qm", "base")
    (tmp_path / "one.patch").write_text(
        mail(HEADERS, "Because.\n", [*edits(EDIT), new_file("dir/new.txt", "a\nb\n")])
    )
    git("am", "-q", "one.patch")
    assert (tmp_path / "old.txt").read_text() == "one\n2\nthree\n"
    assert (tmp_path / "dir/new.txt").read_text() == "a\nb\n"
    assert git("log", "-1", "--format=%an <%ae>|%s|%b").strip() == (
        "somebody <somebody@example.org>|all: change it|Because.\n\n"
        "Signed-off-by: somebody <somebody@example.org>"
    )

"""Which lines a patch touches."""

import subprocess
from pathlib import Path

import pytest

from lab.coverage.patch import changed_lines, parse_diff
from lab.errors import UsageError


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@t"]
    subprocess.run(["git", "-C", folder, *who, *words], check=True, capture_output=True)


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A module in a folder of a repository, changed since its only commit."""
    folder = tmp_path / "driver"
    folder.mkdir()
    (folder / "a.c").write_text("one\ntwo\nthree\n")
    (folder / "b.c").write_text("one\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    (folder / "a.c").write_text("one\nTWO\nthree\nfour\nfive\n")
    return folder


def sources(module: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in module.iterdir()}


def test_lines_that_are_new_or_other_are_found(module: Path) -> None:
    found = changed_lines(module, "HEAD", sources(module))
    assert found == [("a.c", 2), ("a.c", 4), ("a.c", 5)]


def test_all_of_a_source_that_git_does_not_know_is_new(module: Path) -> None:
    (module / "c.c").write_text("one\ntwo\n")
    (module / "notes").write_text("not measured\n")
    measured = {name: text for name, text in sources(module).items() if name != "notes"}
    found = changed_lines(module, "HEAD", measured)
    assert found == [("a.c", 2), ("a.c", 4), ("a.c", 5), ("c.c", 1), ("c.c", 2)]


@pytest.mark.parametrize(
    "setting", ["diff.mnemonicPrefix=true", "diff.noprefix=true", "diff.interHunkContext=10"]
)
def test_how_a_person_likes_diffs_does_not_matter(module: Path, setting: str) -> None:
    git(module, "config", *setting.split("="))
    found = changed_lines(module, "HEAD", sources(module))
    assert found == [("a.c", 2), ("a.c", 4), ("a.c", 5)]


def test_what_only_goes_is_no_line() -> None:
    assert parse_diff("--- a/x.c\n+++ b/x.c\n@@ -3,2 +2,0 @@ f\n-a\n-b\n") == []


def test_results_of_other_sources_are_refused(module: Path) -> None:
    was = sources(module)
    (module / "a.c").write_text("something else\n")
    with pytest.raises(UsageError, match=r"another a\.c"):
        changed_lines(module, "HEAD", was)


def test_an_unknown_revision_is_told(module: Path) -> None:
    with pytest.raises(UsageError, match="no-such"):
        changed_lines(module, "no-such", {})

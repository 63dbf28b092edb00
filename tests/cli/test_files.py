"""Files that options name are looked at when a command begins, not when it is over."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab.cli import run
from lab.cli.main import app
from lab.errors import EnvironmentLack, UsageError


@pytest.mark.parametrize(
    ("words", "option"),
    [
        ("run no-such-scenario", "--junit"),
        ("run no-such-scenario", "--jsonl"),
        ("run no-such-scenario", "--html"),
        ("run --resume nosuch", "--html"),
        ("compare nosuch nosuch", "--html"),
        ("coverage nosuch", "--html"),
        ("coverage nosuch", "--lcov"),
    ],
)
@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("folder", "it is a folder"),
        ("file/x", "file cannot be made: File exists"),
        ("/proc/nosuch/x", "/proc/nosuch cannot be made: No such file"),
    ],
)
def test_a_path_that_cannot_be_written_is_refused_at_once(
    words: str, option: str, path: str, wrong: str, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    done = CliRunner().invoke(app, [*words.split(), option, str(tmp_path / path)])
    assert isinstance(done.exception, UsageError)
    assert done.exception.what.startswith(f"{option} {tmp_path / path}: ")
    assert wrong in done.exception.what
    assert done.exception.remedy == "name a file in a folder of yours"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file", "folder"]


def test_reports_cannot_share_a_file(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    words = ["run", "nosuch", "--junit", str(tmp_path / "a"), "--html", str(link / "a")]
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, UsageError), done.exception
    assert done.exception.what == f"--junit and --html are the same file: {link / 'a'}"
    assert done.exception.remedy


@pytest.mark.parametrize("words", ["run cbt/exact-map", "mutate"])
def test_results_are_looked_at_before_anything_is_made(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    (tmp_path / "file").touch()
    done = CliRunner().invoke(app, [*words.split(), "--results", str(tmp_path / "file")])
    assert isinstance(done.exception, UsageError), done.exception
    assert done.exception.what == f"--results {tmp_path / 'file'}: it is no folder"


def test_a_cache_that_cannot_be_had_is_told_before_a_run_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "require_programs", lambda: None)
    monkeypatch.setenv("BLKSNAP_LAB_CACHE", "/proc/nosuch")
    words = ["run", "cbt/exact-map", "--results", str(tmp_path / "results")]
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, EnvironmentLack), done.exception
    assert "/proc/nosuch" in done.exception.what
    assert list((tmp_path / "results").iterdir()) == []

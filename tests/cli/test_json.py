"""Every command that lists something can do so for machines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab.cache import Cache
from lab.cli.main import app
from lab.image import BUILT_KERNELS, KERNELS


def told(*words: str) -> list[dict[str, object]]:
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code in (0, 3), done.output
    found: list[dict[str, object]] = json.loads(done.stdout)
    return found


def test_scenarios() -> None:
    (row,) = told("list", "overflow/exhausted")
    assert row["name"] == "overflow/exhausted"
    assert "K18" in row["proves"]  # type: ignore[operator]


def test_rules() -> None:
    done = CliRunner().invoke(app, ["list", "--proves", "--rule", "K18", "--json"])
    found: dict[str, list[str]] = json.loads(done.stdout)
    assert list(found) == ["K18"]
    assert "overflow/exhausted" in found["K18"]


def test_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLKSNAP_LAB_CACHE", str(tmp_path))
    rows = told("image", "list")
    assert [row["kernel"] for row in rows] == [one.name for one in (*KERNELS, *BUILT_KERNELS)]
    assert not any(row["built"] for row in rows)


def test_images_that_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLKSNAP_LAB_CACHE", str(tmp_path))
    Cache().entry("images", "of-no-kernel", lambda folder: (folder / "disk").write_bytes(b"x"))
    (row,) = told("image", "prune", "--dry-run")
    assert (row["key"], row["fate"]) == ("of-no-kernel", "would remove")
    assert [row["fate"] for row in told("image", "prune")] == ["removed"]
    assert told("image", "prune") == []


def test_what_this_machine_has() -> None:
    assert {"subject", "health", "detail", "remedy"} <= set(told("doctor")[0])

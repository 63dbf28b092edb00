"""What `bench module` makes of what it measured; the measuring itself needs a guest."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

import lab.cli.bench
from lab.bench.figures import Pattern, State
from lab.bench.module import ModuleBench
from lab.cli.main import app


@pytest.mark.parametrize(
    ("words", "tracked", "status"),
    [
        (["--icount"], 1.0, 0),
        (["--icount"], 2.0, 1),
        (["--icount", "--json"], 2.0, 1),
        (["--null"], 2.0, 0),
    ],
)
def test_a_missed_target_is_a_verdict_only_of_instructions(
    monkeypatch: pytest.MonkeyPatch, words: list[str], tracked: float, status: int
) -> None:
    """`tracked`: seconds of a write to a tracked device; 1 without the module."""
    found = [
        {(State.BARE, Pattern.RANDOM): 1.0, (State.TRACKED, Pattern.RANDOM): tracked},
    ]
    monkeypatch.setattr(ModuleBench, "run", lambda *_: found)
    monkeypatch.setattr(lab.cli.bench, "prepare", lambda *_: SimpleNamespace())
    monkeypatch.setattr(lab.cli.bench, "require_programs", lambda: None)
    monkeypatch.setattr(lab.cli.bench, "facts", lambda _: {})
    done = CliRunner().invoke(app, ["bench", "module", *words], catch_exceptions=False)
    assert done.exit_code == status
    assert ("missed" in done.output) == (tracked > 1 and "--json" not in words)

"""What `build` says of a compiler's warnings; building itself needs a guest."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

import lab.cli.build
from lab.cli.main import app

WARNING = "chunk.c:1:1: warning: unused variable"


@pytest.mark.parametrize(
    ("words", "warnings", "status"),
    [([], (WARNING,), 0), (["--strict"], (WARNING,), 1), (["--strict"], (), 0)],
)
def test_a_warning_is_told_and_with_strict_a_failure(
    monkeypatch: pytest.MonkeyPatch, words: list[str], warnings: tuple[str, ...], status: int
) -> None:
    built: list[str] = []

    def prepare(settings: object, progress: object) -> SimpleNamespace:
        built.append("one")
        # Only the first kernel's compiler warns.
        return SimpleNamespace(module=SimpleNamespace(warnings=warnings if len(built) == 1 else ()))

    monkeypatch.setattr(lab.cli.build, "prepare", prepare)
    monkeypatch.setattr(lab.cli.build, "require_programs", lambda: None)
    monkeypatch.setattr(lab.cli.build, "facts", lambda _: {})
    kernels = ["--kernel", "6.1", "--kernel", "6.12"]
    done = CliRunner().invoke(app, ["build", *words, *kernels], catch_exceptions=False)
    assert done.exit_code == status
    assert len(built) == 2, "all kernels are built, whatever the first one's compiler says"
    assert (WARNING in done.output) == bool(warnings)

"""What `shell -- COMMAND` gives the guest's shell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from lab.cli import shell
from lab.cli.main import app


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ((), None),
        (("uname", "-r"), "uname -r"),
        (("sh", "-c", "echo a b"), "sh -c 'echo a b'"),
        (("echo $HOME | wc -c",), "echo $HOME | wc -c"),
    ],
)
def test_several_words_stay_what_they_are_and_one_is_a_script(
    words: tuple[str, ...], given: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = nullcontext(SimpleNamespace(client=lambda: None))
    guest = SimpleNamespace(panicked=False, ssh=lambda: connection, told=lambda: "")
    commands: list[str | None] = []

    @contextmanager
    def subject(*_: object) -> Iterator[SimpleNamespace]:
        yield guest

    def interact(_client: object, command: str | None) -> int:
        commands.append(command)
        return 7

    monkeypatch.setattr(shell, "subject", subject)
    monkeypatch.setattr(shell, "interact", interact)
    done = CliRunner().invoke(app, ["shell", *(("--", *words) if words else ())])
    assert done.exit_code == 7, done.output
    assert commands == [given]

"""What tests of one session share."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.pytest_plugin.session import Lab


def test_a_folder_that_another_process_makes_meanwhile_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    option = SimpleNamespace(lab_results=tmp_path, lab_module=None, lab_kernel=None, lab_long=False)
    config: Any = SimpleNamespace(option=option)
    mkdir, taken = Path.mkdir, tmp_path / "a" / "test"

    def late(self: Path, *args: Any, **named: Any) -> None:
        if self == taken and not taken.exists():
            mkdir(taken, parents=True)
        mkdir(self, *args, **named)

    monkeypatch.setattr(Path, "mkdir", late)
    assert Lab(config)._new_folder("a/test").path == tmp_path / "a" / "test.2"

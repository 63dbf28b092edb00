"""The command that runs a scenario again says all that decides how it runs, and no more."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.accel import AccelChoice
from lab.cli.again import again
from lab.cli.options import MODULE, GuestOptions
from lab.runner.engine import RunSettings


def test_what_has_its_default_is_left_out() -> None:
    assert again(GuestOptions()) == ("ci/scenarios",)


def test_folders_are_named_from_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    guest = GuestOptions(module=Path("my module"), memory="2GiB", accel=AccelChoice.TCG)
    wanted = ["--module", str(tmp_path / "my module"), "--memory", "2GiB", "--accel", "tcg"]
    assert again(guest) == ("ci/scenarios", *wanted)
    places = ["--ko", str(tmp_path / "a.ko"), "--ko", "/b.ko", "--scenarios", str(tmp_path)]
    ready = GuestOptions(ko=[Path("a.ko"), Path("/b.ko")])
    assert again(ready, Path(), long=True) == ("ci/scenarios", *places, "--long")


def test_a_scenario_is_run_again_on_its_kernel_with_its_module(tmp_path: Path) -> None:
    words = again(GuestOptions(module=MODULE / "with space"))
    settings = RunSettings(tmp_path, words, kernels=("6.1", "6.12"))
    said = settings.again(("6.12",), ("cbt/a",))
    assert said == f"ci/scenarios --module '{MODULE}/with space' --kernel=6.12 cbt/a"

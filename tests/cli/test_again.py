"""The command that runs a scenario again says all that decides how it runs, and no more."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.accel import AccelChoice
from lab.cli.again import again, asked, of_whole_run
from lab.cli.options import MODULE, SCENARIOS, GuestOptions
from lab.cli.run_options import HowOptions, ReportOptions
from lab.data import checkout, program
from lab.errors import UsageError
from lab.runner.engine import RunSettings


def test_what_has_its_default_is_left_out() -> None:
    assert again(GuestOptions()) == ("ci/scenarios",)


def test_folders_are_named_from_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    guest = GuestOptions(module=Path("my module"), memory="2GiB", accel=AccelChoice.TCG)
    wanted = ["--module", str(tmp_path / "my module"), "--memory", "2GiB", "--accel", "tcg"]
    script = f"{checkout()}/ci/scenarios"
    assert again(guest) == (script, *wanted)
    places = ["--ko", str(tmp_path / "a.ko"), "--ko", "/b.ko", "--scenarios", str(tmp_path)]
    ready = GuestOptions(ko=[Path("a.ko"), Path("/b.ko")])
    assert again(ready, Path(), long=True) == (script, *places, "--long")
    assert program() == f"{checkout()}/ci/lab"
    assert asked(f"{script} --long cbt/a").long


def test_a_scenario_is_run_again_on_its_kernel_with_its_module(tmp_path: Path) -> None:
    words = again(GuestOptions(module=MODULE / "with space"))
    settings = RunSettings(tmp_path, words, kernels=("6.1", "6.12"))
    said = settings.again(("6.12",), ("cbt/a",))
    assert said == f"ci/scenarios --module '{MODULE}/with space' --kernel=6.12 cbt/a"


def test_what_was_asked_for_is_read_back(tmp_path: Path) -> None:
    guest = GuestOptions(
        module=tmp_path / "my module", memory="2GiB", cpus=1, accel=AccelChoice.TCG
    )
    settings = RunSettings(tmp_path, again(guest, tmp_path, long=True))
    back = asked(settings.again(("6.12",), ("cbt/a",)))
    assert (back.guest, back.kernel, back.names) == (guest, "6.12", ("cbt/a",))
    assert (back.scenarios, back.long, back.how.coverage) == (tmp_path, True, False)


def test_defaults_are_read_back_as_defaults(tmp_path: Path) -> None:
    back = asked(RunSettings(tmp_path, again(GuestOptions())).again(("6.1",), ("cbt/a",)))
    assert (back.guest, back.kernel, back.scenarios) == (GuestOptions(), "6.1", SCENARIOS)


def test_the_command_of_a_whole_run_says_how_it_was_run_and_what_was_made_of_it(
    tmp_path: Path,
) -> None:
    how = HowOptions(["6.1", "6.12"], jobs=2, repeat=20, keep_failed=True, coverage=True)
    report = ReportOptions(junit=tmp_path / "junit.xml", html=tmp_path / "x y.html", slowest=3)
    settings = RunSettings(
        tmp_path,
        again(GuestOptions(), coverage=True),
        kernels=("6.1", "6.12"),
        options=of_whole_run(how, report),
    )
    back = asked(settings.whole(("cbt/a", "cbt/b")))
    assert (back.how, back.report, back.names) == (how, report, ("cbt/a", "cbt/b"))
    one = asked(settings.again(("6.12",), ("cbt/a",)))
    assert (one.how, one.report) == (HowOptions(["6.12"], coverage=True), ReportOptions())


@pytest.mark.parametrize(
    "command", ["", "rm -rf x", "scenarios a/b", "ci/scenarios --colour red a/b"]
)
def test_a_command_of_another_kind_is_not_read(command: str) -> None:
    with pytest.raises(UsageError):
        asked(command)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("'a/b", "No closing quotation"),
        ("--cpus=x a/b", "'--cpus'"),
        ("--accel quantum a/b", "'--accel'"),
        ("--slowest=-1 a/b", "'--slowest'"),
        ("--help", "--help"),
        ("--group cbt", "--group"),
    ],
)
def test_a_command_that_cannot_be_read_is_named_with_the_reason(words: str, why: str) -> None:
    command = f"ci/scenarios {words}"
    with pytest.raises(UsageError) as caught:
        asked(command)
    assert repr(command) in caught.value.what
    assert why in caught.value.what.replace(repr(command), "")
    assert caught.value.remedy

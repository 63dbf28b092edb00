"""Mistakes of usage are told first, whatever the machine lacks, with a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab.cli.main import app
from lab.errors import EnvironmentLack, UsageError
from lab.flavour import read_flavour
from lab.programs import find_program

NOWHERE = "/nonexistent"


@pytest.fixture(autouse=True)
def _bare_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without QEMU: nothing is started, whatever is asked for."""
    monkeypatch.setenv("PATH", NOWHERE)


def refused(*words: str) -> UsageError:
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, UsageError), done.exception
    return done.exception


@pytest.mark.parametrize("option", ["--jobs", "--repeat", "--cpus"])
def test_numbers_are_at_least_one(option: str) -> None:
    done = CliRunner().invoke(app, ["run", option, "0"])
    assert done.exit_code == 2
    assert f"'{option}'" in done.output


def test_there_is_no_negative_number_of_slowest() -> None:
    done = CliRunner().invoke(app, ["run", "--slowest", "-1"])
    assert done.exit_code == 2
    assert "'--slowest'" in done.output


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ("shell --disk foo", "--disk foo: '' is not a size"),
        ("gdb --disk a=100", "--disk a=100: disk a: 100 bytes are not whole"),
        ("console --disk a,b=1MiB", "--disk a,b=1MiB: disk 'a,b': a name has"),
        ("shell --disk a=1MiB --disk a=2MiB", "--disk a is given twice"),
        (f"gdb --kept {NOWHERE}", f"no guest was kept in {NOWHERE}"),
        ("replay nosuch", "nosuch holds no results"),
        ("replay nosuch --fresh", "nosuch holds no results"),
        (f"static --module {NOWHERE}", f"{NOWHERE} is no source tree"),
        (f"mutate --module {NOWHERE}", f"{NOWHERE} is no source tree"),
        (f"run --flavour {NOWHERE}", f"the flavour {NOWHERE} cannot be read: No such file"),
        ("run --memory 100TiB", "a guest cannot have 100TiB of memory: this machine has "),
        ("shell --cpus 1000", "a guest cannot have 1000 processors"),
        ("run --kernel 6.1-small --cpus 17", "a guest cannot have 17 processors"),
        ("run --resume DIR cbt abi --rule K1", "cbt, abi, --rule: a run goes on as it was"),
        ("run --kernel all --kernel nosuch", "there is no kernel 'nosuch'"),
        ("image prune -n -k nosuch -k all", "there is no kernel 'nosuch'"),
    ],
)
def test_what_cannot_be_is_told_with_a_remedy(words: str, what: str) -> None:
    error = refused(*words.split())
    assert error.what.startswith(what)
    assert error.remedy
    assert error.what.count(NOWHERE) <= 1


def test_a_module_without_mutants_is_told_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "Kbuild").touch()
    error = refused("mutate", "--module", str(tmp_path))
    assert error.what == f"{tmp_path}/test/mutants.yaml cannot be read: No such file or directory"
    assert error.remedy == "see test/mutants.yaml of our module"


def test_a_flavour_that_is_no_yaml_says_so(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text("[")
    with pytest.raises(UsageError, match=r"f\.yaml cannot be read: while parsing"):
        read_flavour(tmp_path / "f.yaml")


def test_a_program_of_the_host_is_in_the_package_that_is_named() -> None:
    with pytest.raises(EnvironmentLack) as caught:
        find_program("unshare")
    assert caught.value.remedy is not None
    assert caught.value.remedy.endswith(" util-linux")

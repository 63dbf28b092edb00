"""Counting in a real guest: exact, over unloading, failing to load and loading again."""

from __future__ import annotations

import base64
import errno
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab import instrument
from lab.cache import Cache
from lab.cli.main import app
from lab.coverage.gcov import prepare_gcov, reached_by
from lab.coverage.lines import Reached
from lab.coverage.readings import read_counters
from lab.data import data_folder
from lab.guest.channel import AgentFailure
from lab.guest.guest import Guest
from lab.guest.prepare import prepare
from lab.guest.settings import GuestSettings
from lab.guest.template import Template
from lab.image import DEFAULT_KERNEL, kernel_named
from lab.modbuild import BuiltModule

pytestmark = [pytest.mark.guest, pytest.mark.toolbox, pytest.mark.timeout(3600)]

SOURCE = Path(__file__).with_name("counted")
LIMIT = 120.0


@pytest.fixture(scope="module")
def template() -> Template:
    return prepare(GuestSettings(module=SOURCE, coverage=True))


@pytest.fixture
def guest(template: Template, tmp_path: Path) -> Iterator[Guest]:
    with template.clone([], tmp_path / "clone") as guest:
        load(guest, instrument.KEEPER)
        yield guest


def load(guest: Guest, name: str, **parameters: int) -> None:
    args = {"path": f"{guest.module_dir}/{name}.ko", "params": parameters}
    guest.channel.request("module_load", args, LIMIT)


def unload(guest: Guest, name: str) -> None:
    guest.channel.request("module_unload", {"name": name}, LIMIT)


def counted(guest: Guest, template: Template, folder: Path) -> Reached:
    """What the guest's kernel has counted so far."""
    assert isinstance(template.module, BuiltModule)
    assert template.module.coverage_notes is not None
    with tarfile.open(template.module.coverage_notes) as archive:
        archive.extractall(folder / "notes", filter="data")
    shown = guest.channel.request("coverage", {}, LIMIT)["deflated"]
    path = folder / "coverage-1.z"
    path.write_bytes(base64.b64decode(shown))
    toolbox = prepare_gcov(kernel_named(DEFAULT_KERNEL), Cache())
    (found,) = reached_by([read_counters(path)], folder / "notes", toolbox, Cache())
    return found


def line(words: str) -> tuple[str, int]:
    """The place of the line with a comment."""
    return "counted.c", number_of((SOURCE / "counted.c").read_text(), words)


def number_of(source: str, words: str) -> int:
    """The number of the line that has these words."""
    (number,) = (n for n, text in enumerate(source.splitlines(), 1) if words in text)
    return number


def test_counts_are_exact_while_the_module_is_loaded(
    guest: Guest, template: Template, tmp_path: Path
) -> None:
    load(guest, "counted", times=300)
    found = counted(guest, template, tmp_path)
    assert found.lines[line("/* twice of three */")] == 200
    assert found.lines[line("/* once of three */")] == 100
    # It is inlined: its branches are where it is called.
    assert found.branches[line("counted_step(i);")] in ((200, 100), (100, 200))
    assert found.lines[line("/* each time */")] == 1
    assert found.lines[line("/* when it fails */")] == 0
    assert found.lines[line("/* when it goes */")] == 0


def test_what_goes_is_kept_with_its_exit_and_adds_up(
    guest: Guest, template: Template, tmp_path: Path
) -> None:
    for times in (3, 30):
        load(guest, "counted", times=times)
        unload(guest, "counted")
    with pytest.raises(AgentFailure) as failed:
        load(guest, "counted", times=300, answer=-errno.ENXIO)
    assert failed.value.errno == errno.ENXIO
    found = counted(guest, template, tmp_path)
    assert found.lines[line("/* twice of three */")] == 222
    assert found.lines[line("/* each time */")] == 3
    assert found.lines[line("/* when it goes */")] == 2
    assert found.lines[line("/* when it fails */")] == 1
    load(guest, "counted", times=3)
    assert counted(guest, template, tmp_path).lines[line("/* twice of three */")] == 224


@pytest.mark.slow
def test_a_run_tells_which_scenario_reaches_a_line(tmp_path: Path) -> None:
    words = ["run", "abi/unknown", "--coverage", "--results", str(tmp_path)]
    assert CliRunner().invoke(app, words).exit_code == 0
    page = tmp_path / "page.html"
    words = ["coverage", str(tmp_path / "latest"), "--html", str(page)]
    told = CliRunner().invoke(app, words)
    assert told.exit_code == 0, told.output
    assert "ctrl.c" in told.output
    assert page.stat().st_size > 10_000
    assert CliRunner().invoke(app, [*words, "--strict"]).exit_code == 1  # one scenario is not all
    source = (data_folder("guest_module") / "ctrl.c").read_text()
    wanted = f"ctrl.c:{number_of(source, 'if (commands[i].request != request)')}"
    told = CliRunner().invoke(app, [*words[:2], "--line", wanted])
    assert told.exit_code == 0, told.output
    count, name = told.stdout.splitlines()[0].split()
    assert (int(count) > 100, name) == (True, "abi/unknown")
    assert told.stdout.endswith(f"1 of 1 scenarios reach {wanted}\n")

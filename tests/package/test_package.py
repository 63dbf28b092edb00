"""The package: built of a copy of the checkout, installed elsewhere, it needs nothing else."""

from __future__ import annotations

import json
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from lab.modbuild import source_files
from lab.scenario.load import find_scenarios, scenario_name

from .copies import CHECKOUT, copy_checkout, said

pytestmark = [pytest.mark.package, pytest.mark.timeout(900)]

MODULE = CHECKOUT / "guest_module"
SCENARIOS = CHECKOUT / "scenarios"
SCENARIO = "overflow/tiny-storage"


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source archive, and the wheel that is built of it."""
    folder = tmp_path_factory.mktemp("package")
    source = folder / "source"
    copy_checkout(source)
    # What somebody built in place is no part of the package.
    for product in ("blksnap.ko", "blksnap.mod.c", ".main.o.cmd"):
        (source / "guest_module" / product).write_text("built in place")
    said(sys.executable, "-m", "build", "--outdir", folder / "dist", source, folder=folder)
    return folder / "dist"


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (found,) = dist.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program `blksnap-lab` of a fresh environment that got the wheel only."""
    folder = tmp_path_factory.mktemp("installed")
    said(sys.executable, "-m", "venv", folder / "env", folder=folder)
    pip = [folder / "env/bin/python", "-m", "pip", "install", "-q", "--no-input"]
    said(*pip, "--disable-pip-version-check", wheel, folder=folder)
    return folder / "env/bin/blksnap-lab"


def test_all_files_of_the_lab_are_in_the_wheel(wheel: Path) -> None:
    lab = [path for path in (CHECKOUT / "lab").rglob("*") if "__pycache__" not in path.parts]
    wanted = {str(path.relative_to(CHECKOUT)) for path in lab if path.is_file()}
    wanted |= {f"lab/data/{path.relative_to(CHECKOUT)}" for path in source_files(MODULE)}
    wanted |= {f"lab/data/{path.relative_to(CHECKOUT)}" for path in find_scenarios(SCENARIOS)}
    # What commands read of the module besides its sources: mutants, reasons, reviews, the contract.
    beside = [path for path in MODULE.rglob("*") if path.suffix in {".md", ".txt", ".yaml"}]
    assert MODULE / "test/mutants.yaml" in beside
    wanted |= {f"lab/data/{path.relative_to(CHECKOUT)}" for path in beside}
    with zipfile.ZipFile(wheel) as archive:
        assert wanted - set(archive.namelist()) == set()


def test_what_was_built_in_place_and_what_is_not_the_labs_is_not_in_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"lab", "blksnap_lab"}
    assert [name for name in names if name.endswith((".ko", ".mod.c", ".cmd"))] == []


def test_the_licences_go_with_it(wheel: Path, dist: Path) -> None:
    wanted = sorted(path.name for path in (CHECKOUT / "LICENSES").iterdir())
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if "/licenses/" in name]
        (metadata,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
        told = archive.read(metadata).decode()
    assert sorted(Path(name).name for name in names) == wanted
    assert "License-Expression: MIT AND GPL-2.0-only" in told
    (archive_path,) = dist.glob("*.tar.gz")
    with tarfile.open(archive_path) as source:
        stored = {name.partition("/")[2] for name in source.getnames()}
    assert {"CHANGELOG.md", "REUSE.toml", "LICENSES/GPL-2.0-only.txt"} <= stored
    assert {"docs/backup-tools.md", "examples/backup.py"} <= stored


def test_an_installed_lab_has_the_scenarios_and_sources_of_the_checkout(
    program: Path, tmp_path: Path
) -> None:
    listed = json.loads(said(program, "list", "--json", folder=tmp_path))
    names = [scenario_name(path, SCENARIOS) for path in find_scenarios(SCENARIOS)]
    assert sorted(row["name"] for row in listed) == sorted(names)
    script = "from lab.data import checkout, data_folder; print(checkout(), data_folder('{}'))"
    for name, folder, files in (
        ("guest_module", MODULE, source_files(MODULE)),
        ("scenarios", SCENARIOS, find_scenarios(SCENARIOS)),
    ):
        python = program.with_name("python")
        told, where = said(python, "-c", script.format(name), folder=tmp_path).split()
        assert told == "None"
        assert not Path(where).is_relative_to(CHECKOUT)
        for file in files:
            assert (Path(where) / file.relative_to(folder)).read_bytes() == file.read_bytes()


def test_an_installed_lab_has_types(program: Path, tmp_path: Path) -> None:
    (tmp_path / "tool.py").write_text("from lab import blksnap\nreveal_type(blksnap.Control)\n")
    mypy = [sys.executable, "-m", "mypy", "--strict", "--cache-dir=.", "--python-executable"]
    told = said(*mypy, program.with_name("python"), "tool.py", folder=tmp_path)
    assert "lab.blksnap.control.Control" in told


def test_an_installed_lab_checks_its_scenarios(program: Path, tmp_path: Path) -> None:
    assert "no mistakes" in said(program, "check", folder=tmp_path)


def test_an_installed_lab_has_the_page_and_the_pytest_plugin(program: Path, tmp_path: Path) -> None:
    page = (SCENARIOS / "README.md").read_text(encoding="utf-8")
    assert said(program, "docs", folder=tmp_path) == page
    script = "from importlib.metadata import entry_points as e; print(*e(group='pytest11').names)"
    assert "blksnap-lab" in said(program.with_name("python"), "-c", script, folder=tmp_path).split()


@pytest.mark.guest
@pytest.mark.timeout(3600)
def test_an_installed_lab_runs_a_scenario(program: Path, tmp_path: Path) -> None:
    told = said(program, "run", SCENARIO, "--results", "out", folder=tmp_path, limit=3600)
    assert "green: 1 passed" in told
    (command,) = tmp_path.glob(f"out/latest/{SCENARIO}/command.txt")
    assert command.read_text() == f"blksnap-lab run {SCENARIO}\n"

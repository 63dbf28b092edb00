"""A vendor's build: our module with all its names changed, driven by its flavour file alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lab.cache import Cache
from lab.cli.options import MODULE
from lab.flavour import FILE
from lab.guest.prepare import prepare
from lab.guest.settings import GuestSettings
from lab.mutate.workshop import Workshop
from lab.runner.shard import recorded_durations
from lab.scenario.load import find_scenarios, scenario_name
from lab.static import prepare_toolbox

pytestmark = [pytest.mark.guest, pytest.mark.timeout(7200)]

CHECKOUT = Path(__file__).resolve().parents[2]
RENAMED = {"blksnap": "acmesnap", "bdevfilter": "acmehook"}
FLAVOUR = """\
module: acmesnap
filter: acmehook
node: /dev/acmesnap
image: acmesnap-image
debugfs: acmesnap
sysfs: acmesnap
threads: acmesnap
log: [acmesnap, acmehook]
"""
# Those that meet most names: log lines, debugfs, nodes in programs, LVM's list of types.
# Of the measuring ones, which no run does by default, the one that takes seconds.
CHOSEN = {
    "abi": "abi/layout",
    "faults": "faults/no-memory",
    "lifecycle": "lifecycle/unload-busy",
    "multi": "multi/lvm-stripe",
    "overflow": "overflow/exhausted",
    "fs": "fs/loop-on-a-file",
    "perf": "perf/memory",
}
RUN_LIMIT = 7000.0


def scenarios() -> list[str]:
    """One of each group."""
    root = CHECKOUT / "scenarios"
    times = recorded_durations()
    known = [scenario_name(path, root) for path in find_scenarios(root)]
    shortest: dict[str, str] = {}
    for name in sorted(known, key=lambda name: (times.get(name, 1e9), name)):
        shortest.setdefault(name.split("/")[0], name)
    return sorted({**shortest, **CHOSEN}.values())


def renamed(text: str) -> str:
    for old, new in RENAMED.items():
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source tree of a vendor."""
    folder = tmp_path_factory.mktemp("vendor") / "tree"
    for path in MODULE.rglob("*"):
        inside = path.relative_to(MODULE)
        if path.is_file() and path.suffix in (".c", ".h", "") and inside.parts[0] != "test":
            target = folder / renamed(str(inside))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(renamed(path.read_text(encoding="utf-8")), encoding="utf-8")
    (folder / FILE).write_text(FLAVOUR, encoding="utf-8")
    return folder


def run(results: Path, *words: str | Path) -> str:
    command = [sys.executable, "-m", "lab", "run", "--results", results, *words]
    done = subprocess.run(
        list(map(str, command)),
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=RUN_LIMIT,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def ready(vendor: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The vendor's modules, built on this host, and what they are called."""
    folder = tmp_path_factory.mktemp("ready")
    cache = Cache()
    image = prepare(GuestSettings(module=None), cache=cache).image
    with cache.scratch("workshop") as workshop:
        made = Workshop(prepare_toolbox(cache), image, workshop).build(vendor)
        for path in made.iterdir():
            shutil.copy(path, folder)
    shutil.copy(vendor / FILE, folder)
    assert sorted(path.name for path in folder.glob("*.ko")) == ["acmehook.ko", "acmesnap.ko"]
    return folder


@pytest.mark.toolbox
def test_a_renamed_build_passes_a_scenario_of_each_group(ready: Path, tmp_path: Path) -> None:
    names = scenarios()
    told = run(tmp_path, "--ko", ready, *names)
    for name in names:
        assert any(line.split()[:2] == ["passed", name] for line in told.splitlines()) or any(
            line.split()[:2] == ["skipped", name] for line in told.splitlines()
        )
    assert sum(line.startswith("passed") for line in told.splitlines()) >= len(CHOSEN)


@pytest.mark.slow
def test_the_sources_of_a_vendor_are_built_in_a_guest(vendor: Path, tmp_path: Path) -> None:
    assert "green: 1 passed" in run(tmp_path, "--module", vendor, "overflow/exhausted")

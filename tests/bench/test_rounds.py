"""What a round asks of the guest; the load program itself, on a file."""

import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.bench.bench_guest import BenchGuest, Job
from lab.bench.figures import COMPARISONS, Pattern, State, ratios
from lab.bench.rounds import Bench, Disks, measure
from lab.errors import LabError
from lab.flavour import Flavour
from lab.units import KIB

LOAD_C = Path(__file__).parents[2] / "lab/bench/load.c"


class FakeAgent:
    """Answers what a round asks; keeps what is loaded, tracked, held and mapped."""

    def __init__(self) -> None:
        self.modules = ["bdevfilter.ko", "blksnap.ko"]
        self.open: list[str] = []
        self.loads: list[tuple[tuple[str, ...], list[str]]] = []

    def request(self, op: str, args: Mapping[str, object], timeout: float) -> dict[str, Any]:
        assert timeout > 0
        return getattr(self, op)(**args) or {}  # type: ignore[no-any-return]

    def module_load(self, path: str) -> None:
        self.open.append(path.rpartition("/")[2].removesuffix(".ko"))

    def module_unload(self, name: str) -> None:
        self.open.remove(name)

    def snapshot_create(self, devices: list[str]) -> dict[str, str]:
        if f"tracked {devices[0]}" not in self.open:
            self.open.append(f"tracked {devices[0]}")
        self.open.append("snapshot")
        return {"id": "1"}

    def append_storage(self, id: str, device: str, ranges: list[tuple[int, int]]) -> None: ...

    def snapshot_take(self, id: str) -> dict[str, int]:
        self.open.append("taken")
        return {"begin_ns": 10, "end_ns": 30}

    def collect_images(self, id: str) -> dict[str, Any]:
        return {"images": [{"path": "/dev/image"}]}

    def snapshot_destroy(self, id: str) -> None:
        self.open.remove("snapshot")
        if "taken" in self.open:
            self.open.remove("taken")

    def tracker_remove(self, device: str) -> None:
        self.open.remove(f"tracked {device}")

    def stack_create(
        self, name: str, kind: str, size: int, keeps: bool, latency_ns: int
    ) -> dict[str, str]:
        assert (kind, keeps) == ("null_blk", False)
        self.open.append(name)
        return {"path": f"/dev/{name}"}

    def stack_remove(self, name: str) -> None:
        self.open.remove(name)

    def exec(
        self, argv: list[str], input: str, timeout: float, env: dict[str, str]
    ) -> dict[str, Any]:
        said = ""
        if argv[0] == "dmsetup":
            (self.open.append if argv[1] == "create" else self.open.remove)(
                next(word for word in argv[2:] if not word.startswith("-"))
            )
        elif argv == ["ls", "/modules"]:
            said = "\n".join(self.modules)
        elif argv[0] == "blockdev":
            said = "1024"
        elif argv[0].endswith("load"):
            self.loads.append((tuple(argv[1:]), list(self.open)))
            said = "1000"
        return {"status": 0, "stdout": said, "stderr": ""}


@pytest.fixture
def agent() -> FakeAgent:
    return FakeAgent()


@pytest.fixture
def bench(agent: FakeAgent) -> Bench:
    return Bench(BenchGuest(agent, "/modules", Flavour()), Disks("/dev/a", "/dev/s", "/dev/o"))


def test_every_comparison_gets_both_its_sides(bench: Bench) -> None:
    found = ratios(measure(bench, 2))
    assert {one.comparison for one in found} == set(COMPARISONS)
    assert {one.spread.count for one in found} == {2}


def test_a_round_leaves_nothing_behind(bench: Bench, agent: FakeAgent) -> None:
    measure(bench, 2)
    assert agent.open == []


def test_each_state_is_what_it_is_called(bench: Bench, agent: FakeAgent) -> None:
    measure(bench, 1)
    writes = [present for argv, present in agent.loads if argv[1] == "write"]
    pairs = [writes[n] for n in range(0, len(writes), 2)]
    assert [] in pairs
    assert ["bdevfilter", "blksnap", "tracked /dev/o"] in pairs
    assert ["bdevfilter", "blksnap", "tracked /dev/a"] in pairs
    assert ["bdevfilter", "blksnap", "tracked /dev/a", "snapshot", "taken"] in pairs
    assert ["bench-origin", "bench-snapshot"] in pairs


def test_a_kernel_with_filters_of_its_own_needs_one_module(agent: FakeAgent) -> None:
    agent.modules = ["blksnap.ko"]
    with BenchGuest(agent, "/modules", Flavour()).module():
        assert agent.open == ["blksnap"]
    assert agent.open == []


def test_every_second_round_goes_the_other_way(bench: Bench) -> None:
    told: list[tuple[int, str]] = []
    measure(bench, 2, lambda number, what: told.append((number, what)))
    first, second = ([what for number, what in told if number == n] for n in (0, 1))
    assert first == second[::-1]
    assert len(first) > 2


def test_no_exceptions_are_kept_on_disks_that_keep_nothing(bench: Bench) -> None:
    (found,) = measure(replace(bench, keeps=False), 1)
    missing = {State.PERSISTENT_FIRST, State.PERSISTENT_AGAIN}
    assert {state for state, _ in found} == set(State) - missing


def test_a_time_is_that_of_one_operation(bench: Bench) -> None:
    (found,) = measure(bench, 1)
    job = bench.job(Pattern.RANDOM, bench.repeat)
    assert found[State.TRACKED, Pattern.RANDOM] == pytest.approx(1e-6 / job.operations)


def test_a_program_that_fails_is_told(agent: FakeAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = {"status": 1, "stdout": "", "stderr": "load: write: No space left on device"}
    monkeypatch.setattr(agent, "exec", lambda **_: answer)
    with pytest.raises(LabError, match="No space left"):
        BenchGuest(agent, "/modules", Flavour()).write("/dev/a", Job(4096, 1, 4096))


@pytest.fixture(scope="session")
def load(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("load") / "load"
    command = ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(path), str(LOAD_C)]
    subprocess.run(command, check=True)
    return path


def written(load: Path, file: Path, *numbers: int) -> list[int]:
    """Which blocks of 4 KiB of a file of zeros the load wrote."""
    file.write_bytes(bytes(256 * KIB))
    argv = [str(load), str(file), "write", "cached", *map(str, numbers)]
    assert int(subprocess.run(argv, check=True, capture_output=True).stdout) > 0
    data = file.read_bytes()
    assert len(data) == 256 * KIB
    return [n for n in range(64) if any(data[n * 4 * KIB : (n + 1) * 4 * KIB])]


@pytest.mark.parametrize("depth", [1, 3, 8])
def test_blocks_in_order(load: Path, tmp_path: Path, depth: int) -> None:
    numbers = (4 * KIB, 4, 4 * KIB, 16 * KIB, 0, depth, 2)
    assert written(load, tmp_path / "file", *numbers) == [4, 5, 6, 7]


@pytest.mark.parametrize("depth", [1, 3, 8])
def test_random_blocks_are_one_in_each_stride(load: Path, tmp_path: Path, depth: int) -> None:
    numbers = (4 * KIB, 8, 32 * KIB, 0, 20, depth, 2)
    found = written(load, tmp_path / "file", *numbers)
    assert [block // 8 for block in found] == list(range(8))
    assert [block % 8 for block in found] != [0] * 8


def test_a_load_that_cannot_write_fails(load: Path) -> None:
    argv = [str(load), "/dev/full", "write", "cached", "4096", "1", "4096", "0", "0", "1", "1"]
    outcome = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert outcome.returncode == 1
    assert "No space left" in outcome.stderr

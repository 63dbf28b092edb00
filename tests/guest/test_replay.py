"""A scenario recorded to the instruction, replayed, and debugged backwards."""

import re
import subprocess
from pathlib import Path

import pytest

from lab.cli.replay import start_script
from lab.guest.inspect import serve_gdb
from lab.programs import find_program
from lab.pytest_plugin.session import GUESTS, Lab
from lab.replay import Recording, compare_console, find_recording, opened, record
from lab.replay.play import instant
from lab.scenario.load import parse_scenario

pytestmark = [pytest.mark.guest, pytest.mark.slow, pytest.mark.timeout(3600)]

LIMIT = 300.0 * GUESTS
SCENARIO = """\
summary: A short one, whose last step fails
disks:
  a: {size: 16MiB}
  store: {size: 16MiB}
steps:
  - create: {devices: [a]}
  - append_storage: {device: store}
  - take:
  - write: {device: a, size: 1MiB}
  - read_image: {device: a, expect: eio}
"""


@pytest.fixture(scope="module")
def recorded(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded") / "replay"
    scenario = parse_scenario(SCENARIO, "replay/short", "short.yaml")
    record(scenario, lab.template(), folder, kernel="6.1", command="ci/scenarios replay/short")
    return folder


def test_a_scenario_that_fails_is_recorded_with_the_instant(recorded: Path) -> None:
    assert find_recording(recorded) == recorded
    recording = Recording.load(recorded)
    assert (recording.verdict, recording.scenario) == ("failed", "replay/short")
    marks = [mark.where for mark in recording.marks]
    assert marks[:5] == [f"steps[{n}]" for n in range(5)]
    assert instant(recording).where == "failure"


@pytest.mark.parametrize("turn", [1, 2])
def test_the_console_of_a_replay_is_the_same_byte_for_byte(
    recorded: Path, tmp_path: Path, turn: int
) -> None:
    compared = compare_console(Recording.load(recorded), recorded, tmp_path / f"{turn}")
    assert compared.replayed == compared.recorded
    assert b"blksnap-lab: replay/short" in compared.replayed


def test_a_debugger_steps_backwards_and_forth_again(recorded: Path, tmp_path: Path) -> None:
    recording = Recording.load(recorded)
    ask = ["-ex", "p $pc", "-ex", "monitor info replay"]
    steps = [word for go in ("stepi", "reverse-stepi", "stepi") for word in ("-ex", go, *ask)]
    call = ["-ex", "break snapshot_take", "-ex", "reverse-continue", *ask]
    with opened(recording, recorded, tmp_path / "gdb") as (machine, mark):
        script = tmp_path / "start.gdb"
        script.write_text(start_script(recording, recorded, tmp_path / "s", None))
        serve_gdb(machine, tmp_path / "s")
        gdb = [find_program("gdb"), "-q", "-nx", "-batch", "-x", str(script)]
        # Both streams in one: what the monitor says is among the errors.
        done = subprocess.run(
            [*gdb, *ask, *steps, *call],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT,
            check=False,
        )
    counts = [int(found) for found in re.findall(r"instruction count = (\d+)", done.stdout)]
    places = re.findall(r"^\$\d+ = .*(0x[0-9a-f]+.*)", done.stdout, re.MULTILINE)
    start = mark.icount
    assert counts[:4] == [start, start + 1, start, start + 1], done.stdout
    assert places[2] == places[0]
    assert places[3] == places[1]
    take, after = (one.icount for one in recording.marks[2:4])
    assert take < counts[4] < after, done.stdout
    assert re.search(r"<snapshot_take[+>]", places[4])

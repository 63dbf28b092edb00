"""The command line: what it prints, and with which status it ends."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

import lab.blksnap
from lab.blksnap import abi, cli, control

from .fake import FakeNode, Handler, array_at
from .test_library import DEVICE, collector, map_reader

COMMANDS = [
    "version",
    "tracker_remove",
    "tracker_collect",
    "read_cbt",
    "mark_dirty",
    "snapshot_create",
    "snapshot_destroy",
    "append_storage",
    "take",
    "collect",
    "collect_images",
    "wait_event",
]
ID = "12345678-1234-5678-1234-567812345678"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> dict[str, Handler]:
    """Handlers of the module that the command line will find; to be filled by the test."""
    handlers: dict[str, Handler] = {}
    monkeypatch.setattr(control, "Node", lambda path: FakeNode(**handlers))
    return handlers


def image_answer(argument: Any) -> int:
    if argument.image_info_array:
        array_at(argument.image_info_array, abi.blk_snap_image_info, 1)[0].image_dev_id.mn = 5
    argument.count = 1
    return 0


def test_take_prints_the_images(
    module: dict[str, Handler], capsys: pytest.CaptureFixture[str]
) -> None:
    module.update(snapshot_take=lambda argument: 0, snapshot_collect_images=image_answer)
    assert cli.main(["--json", "take", ID]) == 0
    assert json.loads(capsys.readouterr().out)["images"][0]["path"] == "/dev/blksnap-image5"
    assert cli.main(["take", ID]) == 0
    assert capsys.readouterr().out.startswith("/dev/blksnap-image5")


def test_create_prints_only_the_id(
    module: dict[str, Handler], capsys: pytest.CaptureFixture[str]
) -> None:
    def create(argument: Any) -> int:
        argument.id[:] = uuid.UUID(ID).bytes
        return 0

    module.update(snapshot_create=create)
    assert cli.main(["snapshot-create", "254:0", "254:16"]) == 0
    assert capsys.readouterr().out == f"{ID}\n"


def test_no_event_is_a_status_of_its_own(
    module: dict[str, Handler], capsys: pytest.CaptureFixture[str]
) -> None:
    def none(argument: Any) -> int:
        assert argument.timeout_ms == 7
        raise OSError(errno.ENOENT, "")

    module.update(snapshot_wait_event=none)
    assert cli.main(["wait-event", ID, "--timeout", "7", "--json"]) == 3
    assert json.loads(capsys.readouterr().out) == {"event": None}


def test_a_refusal_is_explained_on_stderr(
    module: dict[str, Handler], capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(argument: Any) -> int:
        raise OSError(errno.ENODEV, "")

    module.update(snapshot_destroy=refuse)
    assert cli.main(["snapshot-destroy", ID]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "ENODEV: no snapshot has this id" in said.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["take", "nonsense"],
        ["append-storage", ID, "--device", "254:0"],
        ["append-storage", ID, "--file", "f", "--range", "0:8"],
        ["append-storage", ID],
        ["mark-dirty", "254:0"],
        ["mark-dirty", "254:0", "--range", "8"],
        ["mark-dirty", "254:0", "--range", f"{1 << 64}:8"],
        ["read-cbt", "1:1", "--changed-since", "1", "--offset", "3"],
        ["read-cbt", "1:1", "--changed-since", "1", "--length", "0"],
        ["read-cbt", "1:1", "--changed-since", "256"],
        ["read-cbt", "1:1", "--changed-since", "-1"],
        ["read-cbt", "1:1", "--offset", f"{1 << 32}"],
        ["read-cbt", "1:1", "--length", "-1"],
        ["wait-event", ID, "--timeout", "-5"],
        ["wait-event", ID, "--timeout", f"{1 << 32}"],
        ["wait-event", ID, "--timeout", "soon"],
        ["append-storage", ID, "--file", "f", "--size", "1000"],
        ["append-storage", ID, "--file", "f", "--size", "0"],
        ["append-storage", ID, "--file", "f", "--size", "-4096"],
        ["stretch", "254:0"],
        [],
        ["frobnicate"],
    ],
)
def test_wrong_usage_is_status_2(module: dict[str, Handler], arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2


def test_the_largest_numbers_are_no_wrong_usage(
    module: dict[str, Handler], capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[int] = []

    def none(argument: Any) -> int:
        asked.append(argument.timeout_ms)
        raise OSError(errno.ENOENT, "")

    def end(argument: Any) -> int:
        asked.append(argument.offset)
        return 0

    module.update(
        snapshot_wait_event=none, tracker_collect=collector([255]), tracker_read_cbt_map=end
    )
    assert cli.main(["wait-event", ID, "--timeout", f"{(1 << 32) - 1}"]) == 3
    largest = ["--offset", f"{(1 << 32) - 1}", "--length", "5"]
    assert cli.main(["read-cbt", str(DEVICE), *largest]) == 0
    assert asked == [(1 << 32) - 1] * 2
    # A number that the map has not had is the module's to know, and so no wrong usage.
    module.update(tracker_read_cbt_map=map_reader(bytes(10)))
    assert cli.main(["read-cbt", str(DEVICE), "--changed-since", "255"]) == 0
    module.update(tracker_collect=collector([7]))
    assert cli.main(["read-cbt", str(DEVICE), "--changed-since", "8"]) == 1
    assert "take 8 is outside 0..7" in capsys.readouterr().err


@pytest.mark.parametrize("how", [[], ["--output", "map"], ["--changed-since", "0"]])
def test_a_map_that_another_take_has_replaced_is_not_printed(
    module: dict[str, Handler],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    module.update(tracker_collect=collector([3, 4]), tracker_read_cbt_map=map_reader(bytes(10)))
    assert cli.main(["read-cbt", str(DEVICE), *how]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "replaced by another take" in said.err
    assert not (tmp_path / "map").exists()


def test_every_command_of_the_module_has_one_on_the_command_line() -> None:
    said = cli.parser().format_help()
    for name in [*(operation.replace("_", "-") for operation in COMMANDS), "stretch"]:
        assert f"    {name}" in said


def test_names_of_another_build_are_read_from_such_a_file_as_the_page_shows(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs/backup-tools.md"
    (shown,) = re.findall(r"```json\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    shutil.copytree(Path(lab.blksnap.__file__).parent, tmp_path / "blksnap")
    (tmp_path / "blksnap/names.json").write_text(shown)
    script = """if True:
        import blksnap
        print(blksnap.ImageInfo(blksnap.Device(8, 0), blksnap.Device(252, 3)).path)
        blksnap.Control()
    """
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.stdout == "/dev/acmesnap-image3\n"
    assert "open /dev/acmesnap: ENOENT" in run.stderr


def test_the_package_works_when_only_its_folder_is_there(tmp_path: Path) -> None:
    shutil.copytree(Path(lab.blksnap.__file__).parent, tmp_path / "blksnap")
    run = subprocess.run(
        [sys.executable, "-m", "blksnap", "--node", "/nonexistent", "version"],
        cwd=tmp_path,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert "not loaded" in run.stderr

"""Block operations, on a file in place of a disk."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from lab import stamp
from lab.agent.block.reading import Bad, Good, reader_of
from lab.agent.block.ways import Failure, How
from lab.agent.ops import blocks

from .conftest import Agent

SECTORS = (4 << 20) // 512
HOWS = [how.value for how in How]


def scanned(agent: Agent, disk: Path, **more: Any) -> Any:
    given = {"sector": 0, "count": SECTORS, "direct": False, **more}
    return agent.ask("scan", path=str(disk), **given)


def write(agent: Agent, disk: Path, how: str, writes: list[list[int]], **more: Any) -> Any:
    """Written, or the test skipped where the file system does not know that way."""
    number = agent.send("write", path=str(disk), tag=3, writes=writes, how=how, **more)
    answer = agent.answer(number)
    refused = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM)
    if not answer["ok"] and answer["error"]["errno"] in refused:
        pytest.skip(f"no {how} writes here: {answer['error']['message']}")
    assert answer["ok"], answer
    return answer["result"]


@pytest.mark.parametrize("how", HOWS)
def test_what_is_written_in_any_way_is_found(agent: Agent, disk: Path, how: str) -> None:
    result = write(agent, disk, how, [[8, 16, 3], [2000, 8, 4], [0, 8, 5], [8, 8, 6]])
    if "nowait" in how and result["errors"]:
        pytest.skip(f"the file system would have had to wait: {result['errors']}")
    assert result == {"written": 4, "errors": []}
    runs = scanned(agent, disk)["runs"]
    if "io_uring" in how and runs[1][4] == 3:
        pytest.skip("the two writes to one place were done in the other order, as they may")
    assert runs == [
        [0, 8, "stamp", 3, 5, 0],
        [8, 8, "stamp", 3, 6, 8],
        [16, 8, "stamp", 3, 3, 16],
        [24, 1976, "zero", None, None, None],
        [2000, 8, "stamp", 3, 4, 2000],
        [2008, SECTORS - 2008, "zero", None, None, None],
    ]


def test_processes_that_are_done_in_time_are_not_killed(
    agent: Agent, disk: Path, direct: bool
) -> None:
    if not direct:
        pytest.skip("the file system takes no direct I/O")
    writes = [[place * 8, 8, place + 1] for place in range(20)]
    given = {"path": str(disk), "tag": 3, "writes": writes}
    assert agent.ask("write_killed", **given, after=5.0) == {"killed": 0}
    assert disk.read_bytes()[: 160 * 512] == b"".join(stamp.build(3, *one) for one in writes)
    assert 0 <= agent.ask("write_killed", **given, after=0.0)["killed"] <= 20
    beyond = given | {"path": "/dev/full"}
    assert agent.fail("write_killed", **beyond, after=1.0)["errno"] in (errno.EIO, errno.EINVAL)


def test_many_writes_through_a_small_ring_all_arrive(agent: Agent, disk: Path) -> None:
    writes = [[place * 8, 8, place + 1] for place in range(SECTORS // 8)]
    write(agent, disk, "io_uring", writes, queue_depth=4)
    data = disk.read_bytes()
    expected = b"".join(stamp.build(3, *one) for one in writes)
    assert data == expected


def test_a_write_in_pieces_is_still_one_stamp(agent: Agent, disk: Path) -> None:
    write(agent, disk, "buffered", [[1, 1000, 9]], chunk=4096, sync=False)
    assert disk.read_bytes()[512 : 1001 * 512] == stamp.build(3, 1, 1000, 9)


def test_writes_that_make_no_sense_are_usage_errors(agent: Agent, disk: Path) -> None:
    for more in ({"writes": [[0, 0, 1]]}, {"writes": [[0, 8, 1]], "chunk": 100}):
        assert agent.fail("write", path=str(disk), tag=1, how="buffered", **more)["kind"] == "usage"
    assert agent.ask("write", path=str(disk), tag=1, writes=[])["written"] == 0


def test_the_first_failure_is_the_error(agent: Agent) -> None:
    writes = [[0, 8, 1], [8, 8, 2]]
    given = {"path": "/dev/full", "tag": 1, "writes": writes, "how": "buffered", "sync": False}
    error = agent.fail("write", **given)
    assert error["errno"] == errno.ENOSPC
    assert "write 0" in error["message"]


def test_failures_of_writes_that_do_not_wait_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    failures = [Failure(1, errno.EAGAIN), Failure(1, errno.EAGAIN)]
    monkeypatch.setattr(blocks, "write_stamped", lambda *_, stop, **__: [] if stop else failures)
    result = blocks.write("x", 1, [(0, 8, 1), (8, 8, 2)], how=How.NOWAIT)
    assert result == {"written": 1, "errors": [[1, errno.EAGAIN]] * 2}


def test_a_scan_goes_on_where_the_last_answer_ended(agent: Agent, disk: Path) -> None:
    disk.write_bytes(b"".join(stamp.build(1, n * 8, 8, n + 1) for n in range(SECTORS // 8)))
    runs: list[Any] = []
    sector: int | None = 0
    answers = 0
    while sector is not None:
        answer = scanned(agent, disk, sector=sector, count=SECTORS - sector, max_runs=100)
        assert len(answer["runs"]) <= 100
        runs += answer["runs"]
        sector = answer["next"]
        answers += 1
    assert answers == -(-SECTORS // 8 // 100)
    assert runs == [[n * 8, 8, "stamp", 1, n + 1, n * 8] for n in range(SECTORS // 8)]


def test_misplaced_data_and_garbage_are_told(agent: Agent, disk: Path) -> None:
    with disk.open("r+b") as file:
        file.write(stamp.build(1, 64, 8, 2))
        file.write(b"text" * 256)
    runs = scanned(agent, disk)["runs"]
    assert runs[0] == [0, 8, "stamp", 1, 2, 64]
    assert runs[1][:3] == [8, 2, "garbage"]
    assert runs[1][7] == (b"text" * 8).hex()


def test_what_lies_beyond_the_end_is_an_error_of_its_own(agent: Agent, disk: Path) -> None:
    answer = scanned(agent, disk, sector=SECTORS - 3, count=100)
    assert answer["runs"] == [[SECTORS - 3, 3, "zero", None, None, None]]
    assert answer["errors"] == [[SECTORS, 97, errno.ENODATA]]
    assert answer["next"] is None


def test_direct_and_buffered_scans_agree(agent: Agent, disk: Path, direct: bool) -> None:
    if not direct:
        pytest.skip("no direct I/O on this file system")
    write(agent, disk, "buffered", [[100, 1000, 9]])
    assert scanned(agent, disk, direct=True) == scanned(agent, disk)


def test_digests_are_those_of_the_blocks(agent: Agent, disk: Path) -> None:
    write(agent, disk, "buffered", [[0, SECTORS, 9]])
    data = disk.read_bytes()

    def sums(start: int, end: int, block: int) -> list[str]:
        parts = (data[at : min(at + block, end)] for at in range(start, end, block))
        return [hashlib.md5(part, usedforsecurity=False).hexdigest() for part in parts]

    for start, length, block in ((0, len(data), 65536), (512, 10240, 4096)):
        place = {"offset": start, "length": length, "block": block}
        answer = agent.ask("digest", path=str(disk), direct=False, **place)
        assert answer == {"digests": sums(start, start + length, block), "errors": []}


def test_copies_go_to_the_same_places(agent: Agent, disk: Path, tmp_path: Path) -> None:
    write(agent, disk, "buffered", [[0, SECTORS, 9]])
    target = tmp_path / "target"
    with target.open("wb") as file:
        file.truncate(4 << 20)
    given = {"source": str(disk), "target": str(target), "direct": False}
    assert agent.ask("copy", **given, ranges=[[8, 8], [4096, 3000]]) == {"copied_sectors": 3008}
    runs = scanned(agent, target)["runs"]
    assert [run[:2] for run in runs if run[2] == "stamp"] == [[8, 8], [4096, 3000]]
    assert agent.fail("copy", **given, ranges=[[SECTORS, 8]])["errno"] == errno.ENODATA


def test_a_file_has_the_facts_of_a_device(agent: Agent, disk: Path) -> None:
    info = agent.ask("device_info", path=str(disk))
    assert (info["size"], info["logical_block_size"]) == (4 << 20, 512)


def test_requests_that_only_devices_know_are_refused_with_their_errno(
    agent: Agent, disk: Path
) -> None:
    error = agent.fail("zero", path=str(disk), ranges=[[0, 8]], how="discard")
    assert error["errno"] == errno.ENOTTY
    error = agent.fail("raw_ioctl", request=0x5401, hex="00" * 64, node=str(disk))
    assert error["errno"] == errno.ENOTTY


def test_a_mapped_write_beyond_the_end_is_an_error_and_not_a_signal(
    agent: Agent, disk: Path
) -> None:
    given = {"path": str(disk), "tag": 1, "how": "mmap"}
    assert agent.fail("write", writes=[[SECTORS, 8, 1]], **given)["errno"] == errno.ENOSPC
    assert agent.ask("hello", nonce="here")["nonce"] == "here"


@pytest.mark.parametrize("how", ["fails", "is short"])
def test_an_error_that_does_not_come_back_in_its_parts_has_happened(
    disk: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    real, once = os.preadv, [how]

    def preadv(fd: int, buffers: list[memoryview], offset: int) -> int:
        if not once:
            return real(fd, buffers, offset)
        if once.pop() == "fails":
            raise OSError(errno.EIO, "this one time")
        return real(fd, buffers, offset) // 2

    with reader_of(str(disk), direct=False) as reader:
        assert all(isinstance(piece, Good) for piece in reader.pieces(0, 64))
        monkeypatch.setattr(os, "preadv", preadv)
        assert next(iter(reader.pieces(0, 64))) == Bad(0, 64, errno.EIO)
    once.append(how)
    with reader_of(str(disk), direct=False, once=True) as reader:
        assert all(isinstance(piece, Good) for piece in reader.pieces(0, 64)), "if it may, once"
        assert reader.passing == [Bad(0, 64, errno.EIO)]
    assert not once


def test_what_fails_once_as_a_whole_and_once_in_a_part_is_told_once(
    disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failing = os.preadv, [2048, 128]

    def preadv(fd: int, buffers: list[memoryview], offset: int) -> int:
        if failing and buffers[0].nbytes == failing[0] * 512:
            del failing[0]
            raise OSError(errno.EIO, "this one time")
        return real(fd, buffers, offset)

    monkeypatch.setattr(os, "preadv", preadv)
    with reader_of(str(disk), direct=False, once=True) as reader:
        assert all(isinstance(piece, Good) for piece in reader.pieces(0, 2048))
        assert reader.passing == [Bad(0, 2048, errno.EIO)]
    assert not failing

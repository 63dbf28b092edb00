"""The disk server, by QEMU's own client."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.process import CommandFailed, run
from lab.tap.record import Io, Op, Tap, watching
from lab.tap.server import DiskServer
from lab.units import MIB


@contextmanager
def served(tmp_path: Path, tap: Tap) -> Iterator[str]:
    file, place = tmp_path / "disk", tmp_path / "socket"
    with file.open("wb") as made:
        made.truncate(MIB)
    with DiskServer("a", file, place, tap):
        yield f"nbd+unix:///a?socket={place}"
    assert file.stat().st_size == MIB


def qemu_io(url: str, *commands: str) -> str:
    words = [word for command in commands for word in ("-c", command)]
    return run(["qemu-io", "-f", "raw", "-t", "none", url, *words], timeout=60)


def test_what_is_written_is_read_and_told(tmp_path: Path) -> None:
    tap = Tap()
    tap.open()
    with served(tmp_path, tap) as url:
        qemu_io(
            url, "write -P 7 4k 8k", "flush", "read -P 7 4k 8k", "write -z 4k 4k", "read -P 0 4k 4k"
        )
    assert (tmp_path / "disk").read_bytes()[8192:12288] == b"\7" * 4096
    told = [(io.op, io.sector, io.count) for io in tap.ios]
    for one in [(Op.WRITE, 8, 16), (Op.READ, 8, 16), (Op.READ, 8, 8)]:
        assert one in told
    assert any(op is Op.FLUSH for op, _, _ in told)


def test_exactly_the_chosen_one_fails(tmp_path: Path) -> None:
    tap = Tap(Io("a", Op.WRITE, 8, 8, nth=2))
    tap.open()
    with served(tmp_path, tap) as url:
        qemu_io(url, "write 4k 4k", "write 8k 4k", "read 4k 4k")
        assert not tap.hit
        with pytest.raises(CommandFailed, match="Input/output error"):
            qemu_io(url, "write -P 9 4k 4k")
        assert tap.hit
        qemu_io(url, "write -P 3 4k 4k", "read -P 3 4k 4k")


def test_nothing_counts_before_it_is_opened_and_after_it_is_closed(tmp_path: Path) -> None:
    tap = Tap(Io("a", Op.READ, 0, 8, nth=1))
    with served(tmp_path, tap) as url:
        qemu_io(url, "read 0 4k")
        with watching(tap):
            pass
        qemu_io(url, "read 0 4k")
    assert tap.ios == ()
    assert not tap.hit


def test_beyond_the_end_is_refused(tmp_path: Path) -> None:
    with served(tmp_path, Tap()) as url, pytest.raises(CommandFailed):
        qemu_io(url, f"read {MIB} 4k")


def test_a_server_without_a_client_ends(tmp_path: Path) -> None:
    with served(tmp_path, Tap()):
        pass


def test_what_the_host_cannot_do_is_told_apart_from_the_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tap = Tap()
    with served(tmp_path, tap) as url:

        def full(fd: int, data: bytes, offset: int) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "pwrite", full)
        with pytest.raises(CommandFailed):
            qemu_io(url, "write 4k 4k")
    assert "No space left" in tap.host_fault


def test_a_write_that_goes_in_pieces_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: some(fd, data[:1000], at))
    with served(tmp_path, Tap()) as url:
        qemu_io(url, "write -P 7 4k 8k", "read -P 7 4k 8k")

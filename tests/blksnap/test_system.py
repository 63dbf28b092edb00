"""Calls of the C library: which ones, their errors; one that waits stops no other thread."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from lab.blksnap import system

ROOT = Path(__file__).parents[2]

# An ioctl that says it has begun and then waits until somebody writes into the other pipe.
WAITING_IOCTL = """
#include <stdlib.h>
#include <unistd.h>
int ioctl(int fd, unsigned long request, ...)
{
    char byte = '!';
    write(atoi(getenv("BEGUN")), &byte, 1);
    return read(atoi(getenv("WAIT_FOR")), &byte, 1);
}
"""
SCRIPT = """
import os, threading, sys
from lab.blksnap import abi
from lab.blksnap.node import Node
result = []
def wait(node):
    result.append(node.ioctl(abi.IOCTL_BLK_SNAP_SNAPSHOT_WAIT_EVENT, abi.blk_snap_snapshot_event()))
with Node("/dev/null") as node:
    thread = threading.Thread(target=wait, args=(node,))
    thread.start()
    os.read(int(sys.argv[1]), 1)
    os.write(int(sys.argv[2]), b"!")
    thread.join()
print(result)
"""


def test_what_cannot_be_preallocated_is_named() -> None:
    with (
        Path(os.devnull).open("wb") as file,
        pytest.raises(OSError, match=r"of 4096 bytes: .*'null'"),
    ):
        system.fallocate(file.fileno(), 4096, "null")


@pytest.mark.parametrize("names", [("fallocate64", "fallocate"), ("fallocate",)])
def test_a_size_has_64_bits_where_there_are_two_names(
    names: tuple[str, ...], tmp_path: Path
) -> None:
    """glibc has both, and a short size in the second on machines of 32 bits; musl has that only."""
    libc = SimpleNamespace(**{name: getattr(ctypes.CDLL(None), name) for name in names})
    assert system.fallocate_of(libc) is getattr(libc, names[0])


def test_what_is_preallocated_is_there(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        system.fallocate(file.fileno(), 4096, file.name)
    assert (tmp_path / "file").stat().st_size == 4096


def test_waiting_for_an_event_does_not_stop_other_threads(tmp_path: Path) -> None:
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no gcc on this machine")
    source, library = tmp_path / "ioctl.c", tmp_path / "ioctl.so"
    source.write_text(WAITING_IOCTL, encoding="ascii")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    begun, begin = os.pipe()
    goes_on, go_on = os.pipe()
    pipes = (begun, begin, goes_on, go_on)
    try:
        run = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(begun), str(go_on)],
            cwd=ROOT,
            env={
                **os.environ,
                "LD_PRELOAD": str(library),
                "BEGUN": str(begin),
                "WAIT_FOR": str(goes_on),
            },
            pass_fds=pipes,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    finally:
        for fd in pipes:
            os.close(fd)
    assert run.stdout == "[1]\n"

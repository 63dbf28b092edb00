"""Files of the guest: text, waiting for paths, and trees of files with known content."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

from lab.agent.registry import Result, operation
from lab.filedata import BLOCK, content, file_name

_POLL_S = 0.005


@operation
def read_file(path: str, limit: int = 1 << 16) -> Result:
    """The first `limit` bytes as text (bad UTF-8 replaced)."""
    with Path(path).open("rb") as file:
        return {"text": file.read(limit).decode(errors="replace")}


@operation
def write_file(path: str, text: str) -> Result:
    """Write a file anew; folders above it are made."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    return {}


@operation
def wait_path(path: str, timeout: float = 10.0, gone: bool = False) -> Result:
    """Wait until a path is there, or gone. ETIMEDOUT after `timeout` s."""
    end = time.monotonic() + timeout
    while os.path.lexists(path) == gone:
        if time.monotonic() >= end:
            wanted = "still there" if gone else "not there"
            raise TimeoutError(errno.ETIMEDOUT, f"{path} is {wanted} after {timeout} s")
        time.sleep(_POLL_S)
    return {}


@operation
def files_write(folder: str, count: int, size: int, seed: int = 0, fsync: bool = True) -> Result:
    """`count` files f000000 ... of `size` bytes, content from (seed, number of the file).

    A file that is there is written over in place: its blocks are not freed, where storage that
    grows on the same file system could take them though a snapshot still needs them.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    for index in range(count):
        fd = os.open(_name(folder, index), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC)
        try:
            for block in content(seed, index, size):
                os.write(fd, block)
            os.ftruncate(fd, size)
            if fsync:
                os.fsync(fd)
        finally:
            os.close(fd)
    if fsync:
        _sync_folder(folder)
    return {"written": count}


@operation
def files_check(folder: str, count: int, size: int, seed: int = 0) -> Result:
    """What is wrong with the files of files_write, [[name, why]...]; missing and extra ones too."""
    bad: list[list[str]] = []
    names = {Path(_name(folder, index)).name for index in range(count)}
    for extra in sorted(set(os.listdir(folder)) - names - {"lost+found"}):  # noqa: PTH208
        bad.append([extra, "should not be there"])
    for index in range(count):
        why = _wrong(_name(folder, index), seed, index, size)
        if why:
            bad.append([Path(_name(folder, index)).name, why])
    return {"bad": bad[:1000], "checked": count}


def _name(folder: str, index: int) -> str:
    return f"{folder}/{file_name(index)}"


def _wrong(path: str, seed: int, index: int, size: int) -> str:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            for number, block in enumerate(content(seed, index, size)):
                if file.read(len(block)) != block:
                    return f"differs in the block at byte {number * BLOCK}"
            return "is too long" if file.read(1) else ""
    except OSError as error:
        return f"cannot be read: {os.strerror(error.errno or errno.EIO)}"


def _sync_folder(folder: str) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

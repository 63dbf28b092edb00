"""The folder of a run: one sub folder per scenario, all that is needed to repeat and to explain it.

<results>/<date-time>/            run.json  command.txt  events.jsonl  junit.xml
                                  coverage-<kernel>.tar.gz
<results>/<date-time>/<scenario>/ scenario.yaml  verdict.json  events.jsonl  command.txt
                                  console.log  kernel.log  splats.txt  qemu-command.txt
                                  builds.json  blocked-tasks.txt  places.json
                                  figures.json  coverage-1.z
<results>/<date-time>/<kernel>/<scenario>/ ...   instead, if the run has several kernels
<results>/<date-time>/<scenario>.cut-off         what a run that was ended had of it by then
<results>/latest                  symbolic link to the newest run
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lab.cache import Hold
from lab.errors import EnvironmentLack, LabError, UsageError
from lab.runner.events import plain
from lab.units import MIB

LEAST_FREE = 256 * MIB
"""A run is not begun with less free space than this; bytes."""
FULL_BELOW = 16 * MIB
"""With less free space than this the disk counts as full; bytes."""
FULL = (errno.ENOSPC, errno.EDQUOT)
"""What a full disk answers."""
LATEST = "latest"
ELSEWHERE = "another folder with --results"


class HostDiskFull(EnvironmentLack):
    """No space is left on the host for results or for the disks of guests."""


def free_bytes(folder: Path) -> int:
    """Bytes that may still be written in `folder`."""
    return shutil.disk_usage(folder).free


def full_disk(folder: Path, instead: str = ELSEWHERE) -> HostDiskFull:
    """The error that says that the disk of `folder` is full."""
    return HostDiskFull(
        f"the disk that holds {folder} is full ({free_bytes(folder) // MIB} MiB free)",
        f"free some space on it (`df -h` shows the disks), or choose {instead}",
    )


@contextmanager
def disk_errors(folder: Path, instead: str = ELSEWHERE) -> Iterator[None]:
    """Turns the host's errors while writing in `folder` into errors of the lab."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise full_disk(folder, instead) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise EnvironmentLack(
                f"cannot write in {folder}: {error.strerror}",
                f"get the right to write there, or choose {instead}",
            ) from error
        raise LabError(f"cannot write in {folder}: {error}") from error


def make_results(results: Path, option: str = "--results") -> None:
    """Make the folder that an option names for results, if it is not there.

    Raises UsageError if nothing can be written there, HostDiskFull if too little space is left for
    a run to make sense.
    """
    try:
        results.mkdir(parents=True, exist_ok=True)
        wrong = "" if os.access(results, os.W_OK | os.X_OK) else "it cannot be written in"
    except FileExistsError:
        wrong = "it is no folder"
    except OSError as error:
        if error.errno in FULL:
            raise full_disk(results.parent) from error
        wrong = f"it cannot be made: {error.strerror}"
    if wrong:
        raise UsageError(f"{option} {results}: {wrong}", "name a folder of yours")
    if free_bytes(results) < LEAST_FREE:
        raise full_disk(results)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that the user has named, in one step. Raises HostDiskFull and LabError.

    A link stays one; what is there and is no regular file, a pipe or a device, is written to.
    """
    with disk_errors(path.parent, "another file"):
        if path.exists() and not path.is_file():
            path.write_bytes(content)
            return
        target = Path(os.path.realpath(path))
        aside = target.with_name(f".{target.name}.part")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            aside.write_bytes(content)
            aside.replace(target)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise


class Folder:
    """A folder that results are written to; errors of the host's disk are said clearly."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write_text(self, name: str, text: str) -> None:
        """Write a whole file."""
        with disk_errors(self.path):
            (self.path / name).write_text(text, encoding="utf-8", errors="surrogateescape")

    def write_json(self, name: str, value: object) -> None:
        """Write a value (dataclasses, enumerations and paths allowed) as indented JSON."""
        self.write_text(name, json.dumps(plain(value), indent=2) + "\n")

    def write_line(self, name: str, value: object) -> None:
        """Write a value as JSON in one line: for programs, as short as can be."""
        self.write_text(name, json.dumps(plain(value), separators=(",", ":")) + "\n")

    def write_bytes(self, name: str, content: bytes) -> None:
        """Write a whole file."""
        with disk_errors(self.path):
            (self.path / name).write_bytes(content)

    def append_json(self, name: str, value: object) -> None:
        """Append one JSON line."""
        with disk_errors(self.path), (self.path / name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(plain(value)) + "\n")

    def read_text(self, name: str) -> str:
        """The text of a file, empty if there is none."""
        with suppress(OSError):
            return (self.path / name).read_text(encoding="utf-8", errors="replace")
        return ""


class RunFolder(Folder):
    """The folder of one run; locked until it is closed: no other process goes on with it."""

    def __init__(self, path: Path) -> None:
        """Raises UsageError if a process has it."""
        super().__init__(path)
        with disk_errors(path):
            self._hold = Hold(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        try:
            fcntl.flock(self._hold.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._hold.close()
            raise UsageError(
                f"the run in {path} is still under way", "wait for its end, or end it"
            ) from None
        except OSError:
            pass  # Some network file systems lock no folders: then nobody is kept away.

    def close(self) -> None:
        """Let others go on with it; safe to call more than once."""
        self._hold.close()

    def scenario(self, label: str, repeat: int) -> Folder:
        """A new sub folder for one run of a scenario; `repeat` counts from 1.

        One that is there already is of a run that was cut off: it is put aside.
        """
        path = self._sub(label, repeat)
        with disk_errors(self.path):
            if path.is_dir():
                path.rename(_unused(path.with_name(f"{path.name}.cut-off")))
            path.mkdir(parents=True)
        return Folder(path)

    def has(self, label: str, repeat: int) -> bool:
        """Whether a run of a scenario has begun."""
        return self._sub(label, repeat).is_dir()

    def _sub(self, label: str, repeat: int) -> Path:
        return self.path / (label if repeat == 1 else f"{label}.{repeat}")


def new_run_folder(results: Path) -> RunFolder:
    """Make the folder of a run and point "latest" at it.

    Errors as of make_results().
    """
    make_results(results)
    with disk_errors(results):
        path = fresh(results / time.strftime("%Y-%m-%dT%H-%M-%S"))
        _point_latest(results, path)
    return RunFolder(path)


def old_run_folder(path: Path) -> RunFolder:
    """The folder of a run that is to go on. UsageError if it is still under way; HostDiskFull."""
    if free_bytes(path) < LEAST_FREE:
        raise full_disk(path)
    folder = RunFolder(path)
    if (path.parent / LATEST).is_symlink():
        with disk_errors(path.parent):
            _point_latest(path.parent, path)
    return folder


def mend_last_line(path: Path) -> None:
    """Make a file of JSON lines end with a whole one: who wrote it may have been killed meanwhile.

    Half a line is cut off; a whole one that only lacks its end gets it. No file is one without
    lines.
    """
    with disk_errors(path.parent), suppress(FileNotFoundError), path.open("r+b") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        rest = content[whole:]
        if not rest:
            return
        try:
            json.loads(rest)
        except ValueError:
            file.truncate(whole)
        else:
            file.write(b"\n")


def fresh(path: Path) -> Path:
    """Make a folder: `path`, or the first of path.2, path.3 ... that nobody else has made."""
    while True:
        found = _unused(path)
        with suppress(FileExistsError):
            found.mkdir(parents=True)
            return found


def _unused(path: Path) -> Path:
    """`path`, or the first of path.2, path.3 ... that is not there."""
    number, found = 1, path
    while os.path.lexists(found):
        number += 1
        found = path.with_name(f"{path.name}.{number}")
    return found


def _point_latest(results: Path, path: Path) -> None:
    """Replace the link in one step, so that it never dangles."""
    aside = results / f".{LATEST}.{os.getpid()}"
    aside.unlink(missing_ok=True)
    aside.symlink_to(path.name)
    aside.replace(results / LATEST)

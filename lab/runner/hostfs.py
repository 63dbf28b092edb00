"""Checks an ext4 file system in a file on the host, as the kernel would find it after a power cut.

Fast, because it needs no emulated guest: some 50 ms for a small one. The file is changed: its
journal is replayed.
"""

from __future__ import annotations

import re
import shutil
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.crash.journal import MAGIC, Journal
from lab.errors import LabError
from lab.filedata import content, file_name
from lab.process import CommandFailed, run
from lab.units import SECTOR

LIMIT = 120.0
REPAIRED = 1
"""Exit status of e2fsck that has done what a mount does too."""
ORPHAN = re.compile(r"(Clearing|Truncating) orphaned inode")
HARMLESS = re.compile(
    r"recovering journal|clean, \d+/\d+ files|\d+/\d+ files \(|was not cleanly unmounted|"
    rf"{ORPHAN.pattern}|"
    r"extent tree \(at level \d+\) could be |"
    r"Free (blocks|inodes) count wrong|Setting free (blocks|inodes) count|"
    r"Feature orphan_present is set but orphan file is clean|^\s*(CLEARED\.)?\s*$"
)
"""Lines of `e2fsck -p` that tell of a replay, not of damage. The counts in the super block are not
in the journal; the kernel sums them up when it mounts."""
ORPHAN_FILE = re.compile(r"Orphan file \(inode \d+\) block \d+ is not clean")
"""The file of orphans had one in it, and is emptied: harmless after an orphan only. Without one it
was not marked as having any, and a mount would not have looked."""

EXT4_AT, EXT4_MAGIC = 1024, 0xEF53
EXT4_SUPER = struct.Struct("<24xI28xH166xI")
"""Byte of the super block, and what is of it: log2 of the KiB of a block, magic number, inode of
the journal."""
OWN_WAY = 0x4 | 0x20
"""Features of journals whose commits are ordered otherwise: async_commit and fast_commit."""


@dataclass(frozen=True)
class FilePromise:
    """Files whose content was acknowledged as safe (see lab.filedata).

    folder: from the root of the file system. since, until: numbers of entries of the log between
    which they must be there; until None: from then on always.
    """

    device: str
    folder: str
    count: int
    size: int
    seed: int
    since: int
    until: int | None = None

    def holds_after(self, entries: int) -> bool:
        """Whether it holds when the power fails after so many entries."""
        return self.since <= entries and (self.until is None or entries <= self.until)


def journal_of(disk: Path) -> Journal | None:
    """Where the journal of a disk's ext4 lies, mounted or not; None if there is none on the disk
    whose commits are ordered by flushes (see lab.crash.journal)."""
    with disk.open("rb") as file:
        file.seek(EXT4_AT)
        size, ext4, inode = EXT4_SUPER.unpack(file.read(EXT4_SUPER.size))
        if ext4 != EXT4_MAGIC or not inode:
            return None
        # Checksums may be wrong before the journal is replayed.
        said = run(["debugfs", "-n", "-R", f"blocks <{inode}>", str(disk)], timeout=LIMIT)
        last = said.splitlines()[-1]
        if not re.fullmatch(r"[\d ]+", last):
            raise LabError(f"debugfs cannot tell where the journal of {disk} is: {_short(said)}")
        size = 1024 << size
        first, *others = map(int, last.split())
        file.seek(first * size)
        magic, features = struct.unpack_from(">I36xI", file.read(SECTOR))
    if magic != MAGIC or features & OWN_WAY:
        return None
    return Journal(size, frozenset(others))


def block_names(promises: Iterable[FilePromise]) -> dict[bytes, str]:
    """What each block of promised files is called, by what each of its sectors holds."""
    return {
        block[:SECTOR]: f"block {number} of {promise.folder}/{file_name(index)}"
        for promise in promises
        for index in range(promise.count)
        for number, block in enumerate(content(promise.seed, index, promise.size))
    }


def complaints(image: Path, promises: Iterable[FilePromise]) -> list[str]:
    """What is wrong with a file system, in words."""
    wrong = list(_fsck(image))
    if not wrong:
        for promise in promises:
            wrong += _files(image, promise)
    return wrong


def _fsck(image: Path) -> Iterator[str]:
    try:
        said = run(["e2fsck", "-f", "-p", str(image)], timeout=LIMIT)
    except CommandFailed as failed:
        if failed.status != REPAIRED:
            yield f"e2fsck -p: status {failed.status}: {_short(failed.output)}"
            return
        said = failed.output
    emptied = ORPHAN.search(said) is not None
    for line in said.splitlines():
        if not HARMLESS.search(line) and not (emptied and ORPHAN_FILE.search(line)):
            yield f"e2fsck -p: {line.strip()}"
    try:
        run(["e2fsck", "-f", "-n", str(image)], timeout=LIMIT)
    except CommandFailed as failed:
        yield f"e2fsck after the replay: {_short(failed.output)}"


def _files(image: Path, promise: FilePromise) -> Iterator[str]:
    """Files of a promise that are not there, or not as they were."""
    target = image.with_suffix(".files")
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    try:
        said = run(
            ["debugfs", "-R", f"rdump /{promise.folder} {target}", str(image)], timeout=LIMIT
        )
        found = target / Path(promise.folder).name
        for index in range(promise.count):
            path = found / file_name(index)
            place = f"/{promise.folder}/{path.name}"
            if not path.is_file():
                yield f"{place}, which was fsync'd, is not there ({_short(said)})"
            elif path.read_bytes() != b"".join(content(promise.seed, index, promise.size)):
                yield f"{place}, which was fsync'd, does not hold what was written"
    except CommandFailed as failed:
        raise LabError(f"debugfs cannot read {image}: {_short(failed.output)}") from failed
    finally:
        shutil.rmtree(target, ignore_errors=True)


def _short(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-6:])

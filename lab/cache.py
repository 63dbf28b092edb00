"""The cache: things that take long to make, each under a key that says all it was made from.

    <root>/<kind>/<key>/             an entry: files, and seal.json with the digest of each
    <root>/locks/<kind>-<key>.lock   held by the one process that builds the entry
    <root>/aside/                    entries under construction; renamed into place when finished

A half-built entry is never seen. A damaged one is found by its digests and built anew: every use
compares size, inode and times of each file with the seal, and reads a file again if one differs.
The root is $BLKSNAP_LAB_CACHE, or the user's cache folder of the platform.
"""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from lab.errors import LabError
from lab.progress import Progress, ProgressSink, silent
from lab.units import MIB

ENVIRONMENT = "BLKSNAP_LAB_CACHE"
SEAL = "seal.json"
# The longest that another process may take to build what we wait for, seconds.
BUILD_LIMIT = 3600.0


class CacheError(LabError):
    """An entry could not be built or kept: no space, no right to write, or a build without end."""


def cache_root() -> Path:
    """The folder of the cache; it need not exist."""
    override = os.environ.get(ENVIRONMENT)
    return Path(override).absolute() if override else user_cache_path("blksnap-lab")


def digest_of(*parts: str | bytes) -> str:
    """Digest of a sequence of texts, 32 hexadecimal digits; the borders between them count."""
    hasher = hashlib.blake2b(digest_size=16)
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        hasher.update(len(raw).to_bytes(8, "little"))
        hasher.update(raw)
    return hasher.hexdigest()


def digest_tree(root: Path, patterns: tuple[str, ...] = ("**/*",)) -> str:
    """Digest of the names, contents and execute bits of the files below a folder."""
    files = sorted({p for pattern in patterns for p in root.glob(pattern) if p.is_file()})
    parts: list[str | bytes] = []
    for path in files:
        parts += [path.relative_to(root).as_posix(), str(os.access(path, os.X_OK))]
        parts.append(path.read_bytes())
    return digest_of(*parts)


def digest_file(path: Path) -> str:
    """Digest of a file of any size; holes and zeros count alike, and holes are not read."""
    hasher = hashlib.blake2b(digest_size=16)
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        hasher.update(size.to_bytes(8, "little"))
        for offset, block in _data_blocks(file.fileno(), size):
            hasher.update(offset.to_bytes(8, "little"))
            hasher.update(block)
    return hasher.hexdigest()


def _data_blocks(descriptor: int, size: int) -> Iterator[tuple[int, bytes]]:
    """The MiB blocks of a file that hold something, in order, each with its offset."""
    zero = bytes(MIB)
    offset = 0
    while offset < size:
        try:
            offset = os.lseek(descriptor, offset, os.SEEK_DATA) // MIB * MIB
        except OSError:  # ENXIO: nothing but a hole until the end
            return
        block = os.pread(descriptor, MIB, offset)
        if block != zero[: len(block)]:
            yield offset, block
        offset += MIB


@dataclass(frozen=True)
class FileSeal:
    """What is known of a file: digest, size in bytes, inode, and times of change in ns."""

    digest: str
    size: int
    inode: int
    mtime: int
    ctime: int

    @staticmethod
    def take(path: Path, digest: str | None = None) -> "FileSeal":
        """Seal a file as it is; the digest is computed unless it is given."""
        known = digest or digest_file(path)
        info = path.stat()
        return FileSeal(known, info.st_size, info.st_ino, info.st_mtime_ns, info.st_ctime_ns)

    def unchanged(self, path: Path) -> bool:
        """Whether the file certainly is as it was sealed (nobody can set the change time)."""
        return FileSeal.take(path, self.digest) == self


def seal(folder: Path) -> None:
    """Write the seal of an entry: one FileSeal for each file in it."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != SEAL)
    seals = {p.relative_to(folder).as_posix(): FileSeal.take(p) for p in files}
    _write_seal(folder, seals)


def _write_seal(folder: Path, seals: dict[str, FileSeal]) -> None:
    text = json.dumps({name: asdict(one) for name, one in seals.items()}, indent=1)
    aside = folder / f".{SEAL}.{os.getpid()}"
    aside.write_text(text, encoding="utf-8")
    aside.replace(folder / SEAL)


def damage(folder: Path) -> str | None:
    """What is wrong with an entry, or None. Files with new times are read, and sealed again."""
    try:
        loaded = json.loads((folder / SEAL).read_text(encoding="utf-8"))
        seals = {name: FileSeal(**fields) for name, fields in loaded.items()}
    except (OSError, ValueError, TypeError) as error:
        return f"no readable seal ({error})"
    fresh: dict[str, FileSeal] = {}
    for name, old in seals.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is gone"
        if not old.unchanged(path):
            fresh[name] = FileSeal.take(path)
            if fresh[name].digest != old.digest:
                return f"{name} is not what was built"
    if fresh:
        _write_seal(folder, seals | fresh)
    return None


class Cache:
    """Entries by kind and key, built by one process at a time."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or cache_root()

    def entry(
        self, kind: str, key: str, build: Callable[[Path], None], progress: ProgressSink = silent
    ) -> Path:
        """The folder of an entry; `build` fills an empty folder if there is none or it is damaged.

        Errors of `build` pass, and nothing is kept. CacheError if the cache cannot be written.
        """
        folder = self.root / kind / key
        if folder.is_dir() and damage(folder) is None:
            return folder
        with self.lock(f"{kind}-{key}", progress):
            wrong = damage(folder) if folder.is_dir() else None
            if folder.is_dir() and wrong is None:
                return folder
            if wrong is not None:
                progress(Progress(kind, f"rebuilt: in the cached one, {wrong}"))
                self._discard(folder)
            self._build(folder, build)
        return folder

    def _build(self, folder: Path, build: Callable[[Path], None]) -> None:
        with self._errors(f"the cache entry {folder}"), self.scratch(folder.name) as aside:
            build(aside)
            seal(aside)
            folder.parent.mkdir(parents=True, exist_ok=True)
            aside.rename(folder)

    @contextlib.contextmanager
    def scratch(self, label: str) -> Iterator[Path]:
        """A folder on the cache's file system that is gone afterwards, unless renamed away."""
        aside = self.root / "aside"
        aside.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{label}.", dir=aside))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextlib.contextmanager
    def lock(self, name: str, progress: ProgressSink = silent) -> Iterator[None]:
        """Hold the lock of a name; says so when another process makes us wait."""
        with self._errors(f"the lock {name}"):
            (self.root / "locks").mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.root / "locks" / f"{name}.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                progress(Progress("cache", f"waiting for another process that makes {name}"))
                lock.acquire(timeout=BUILD_LIMIT)
        try:
            yield
        finally:
            lock.release()

    def _discard(self, folder: Path) -> None:
        """Remove an entry; renamed first, so that nobody finds a half-removed one."""
        with self._errors(f"the cache entry {folder}"), self.scratch(folder.name) as aside:
            folder.rename(aside / "damaged")

    @contextlib.contextmanager
    def _errors(self, subject: str) -> Iterator[None]:
        """Errors of the operating system as CacheError, with what can be done about them."""
        try:
            yield
        except Timeout as error:
            raise CacheError(
                f"{subject} is held by another process since {BUILD_LIMIT:.0f} s",
                "end that process",
            ) from error
        except OSError as error:
            raise CacheError(
                f"{subject} under {self.root} cannot be written: {error}",
                f"free space or rights there, or set {ENVIRONMENT} to another folder",
            ) from error

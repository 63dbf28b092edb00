"""The cache: things that take long to make, each under a key that says all it was made from.

    <root>/<kind>/<key>/             an entry: files, and seal.json with the digest of each
    <root>/locks/<kind>-<key>.lock   held by the one process that builds the entry
    <root>/locks/<kind>-<key>.use    held by every process that uses it; it is not pruned then
    <root>/aside/                    entries under construction; renamed into place when finished
    <root>/claims/                   files elsewhere that are to go with their process, see claims

A half-built entry is never seen. A damaged one is found by its seal and built anew. The root is
$BLKSNAP_LAB_CACHE, or the user's cache folder of the platform.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Container, Iterator
from pathlib import Path

from platformdirs import user_cache_path

from lab.cache.seal import damage, seal
from lab.errors import EnvironmentLack
from lab.progress import Progress, ProgressSink, silent

ENVIRONMENT = "BLKSNAP_LAB_CACHE"
# The longest that another process may take to build what we wait for, seconds: an image with a
# kernel of the lab, each step of it as long as it may take.
WAIT_LIMIT = 6 * 3600.0
PAUSE = 0.2
# How to lock what another process may have locked; BlockingIOError then.
EXCLUSIVE = fcntl.LOCK_EX | fcntl.LOCK_NB
# What a build says if the cache cannot be written; its other errors are not the cache's.
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
# A folder under construction has this name until it is locked, a moment later ...
_NEW = ".new."
# ... and is nobody's if it still has it after so many seconds.
NEW_AGE = 60.0


class CacheError(EnvironmentLack):
    """An entry could not be built or kept: no space, no right to write, or a build without end."""


def cache_root() -> Path:
    """The folder of the cache; it need not exist."""
    override = os.environ.get(ENVIRONMENT)
    return Path(override).absolute() if override else user_cache_path("blksnap-lab")


class Hold:
    """A lock on a descriptor; given back by close(), or when the object is collected."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._close = weakref.finalize(self, os.close, descriptor)

    def close(self) -> None:
        """Let go; safe to call more than once."""
        self._close()


def lock_file(path: Path, how: int) -> Hold:
    """Lock a file (flock) that is made if there is none; nobody locks another one of this name.

    Only who holds the exclusive lock of a file may remove it. BlockingIOError as of flock.
    """
    while True:
        hold = Hold(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666))
        try:
            fcntl.flock(hold.descriptor, how)
            if os.fstat(hold.descriptor).st_nlink > 0:
                return hold
        except BaseException:
            hold.close()
            raise
        hold.close()


def _wait_for(path: Path) -> Hold:
    """Lock a file that another process has locked; flock itself waits without a limit."""
    end = time.monotonic() + WAIT_LIMIT
    while time.monotonic() < end:
        time.sleep(PAUSE)
        with contextlib.suppress(BlockingIOError):
            return lock_file(path, EXCLUSIVE)
    raise CacheError(
        f"another process has held {path} for {WAIT_LIMIT:.0f} s",
        "end that process: `lslocks` names it",
    )


def _sweep(aside: Path) -> None:
    """Remove what killed processes left: their locks went with them."""
    for folder in aside.iterdir():
        with contextlib.suppress(OSError):
            if folder.name.startswith(_NEW) and time.time() - folder.stat().st_mtime < NEW_AGE:
                continue
            hold = Hold(os.open(folder, os.O_RDONLY | os.O_CLOEXEC))
            try:
                fcntl.flock(hold.descriptor, EXCLUSIVE)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                hold.close()


class Cache:
    """Entries by kind and key, built by one process at a time."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or cache_root()

    def entry(
        self, kind: str, key: str, build: Callable[[Path], None], progress: ProgressSink = silent
    ) -> Path:
        """The folder of an entry; `build` fills an empty folder if there is none or it is damaged.

        Errors of `build` pass, and nothing is kept. CacheError if the cache cannot be written, also
        if that is what `build` says.
        """
        with contextlib.closing(self.use(kind, key)):
            return self._entry(kind, key, build, progress)

    def _entry(
        self, kind: str, key: str, build: Callable[[Path], None], progress: ProgressSink
    ) -> Path:
        folder = self.root / kind / key
        if folder.is_dir() and damage(folder) is None:
            return folder
        with self.lock(f"{kind}-{key}", progress):
            wrong = damage(folder) if folder.is_dir() else None
            if folder.is_dir() and wrong is None:
                return folder
            if wrong is not None:
                progress(Progress(kind, f"rebuilt: in the cached one, {wrong}"))
                self._remove(folder)
            self._build(folder, build)
        return folder

    def _build(self, folder: Path, build: Callable[[Path], None]) -> None:
        subject = f"the cache entry {folder}"
        with contextlib.ExitStack() as stack:
            aside = stack.enter_context(self.scratch(folder.name))
            with self._errors(subject, only=_NO_ROOM):
                build(aside)
            with self._errors(subject):
                seal(aside)
                folder.parent.mkdir(parents=True, exist_ok=True)
                aside.rename(folder)

    @contextlib.contextmanager
    def scratch(self, label: str) -> Iterator[Path]:
        """A folder on the cache's file system that is gone afterwards, unless renamed away.

        CacheError if it cannot be made.
        """
        self.sweep()
        with self._errors(f"a folder for {label}"):
            new = Path(tempfile.mkdtemp(prefix=f"{_NEW}{label}.", dir=self.root / "aside"))
            hold = Hold(os.open(new, os.O_RDONLY | os.O_CLOEXEC))
        folder = new.with_name(new.name.removeprefix(_NEW))
        try:
            fcntl.flock(hold.descriptor, fcntl.LOCK_EX)
            new.rename(folder)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            hold.close()

    def sweep(self) -> None:
        """Remove the scratch folders that killed processes left."""
        aside = self.root / "aside"
        with self._errors("the folder aside"):
            aside.mkdir(parents=True, exist_ok=True)
            _sweep(aside)

    def require(self) -> None:
        """CacheError if nothing can be made in it."""
        with self.scratch("builds"):
            pass

    @contextlib.contextmanager
    def lock(self, name: str, progress: ProgressSink = silent) -> Iterator[None]:
        """Hold the lock of a name; says so when another process makes us wait."""
        with self._errors(f"the lock {name}"):
            path = self.root / "locks" / f"{name}.lock"
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                hold = lock_file(path, EXCLUSIVE)
            except BlockingIOError:
                progress(Progress("cache", f"waiting for another process that makes {name}"))
                hold = _wait_for(path)
        with contextlib.closing(hold):
            yield

    def discard(self, kind: str, key: str) -> None:
        """Remove an entry, if there is one."""
        folder = self.root / kind / key
        with self.lock(f"{kind}-{key}"):
            if folder.is_dir():
                self._remove(folder)

    def use(self, kind: str, key: str) -> Hold:
        """Keep an entry from being pruned for as long as the object returned lives."""
        with self._errors(f"the cache entry {key}"):
            path = self._use_file(kind, key)
            path.parent.mkdir(parents=True, exist_ok=True)
            hold = lock_file(path, fcntl.LOCK_SH)
            os.utime(path)
            return hold

    def entries(self, kind: str) -> list[Path]:
        """The entries of a kind, the one that was used last first."""

        def last_use(folder: Path) -> float:
            path = self._use_file(kind, folder.name)
            return path.stat().st_mtime if path.exists() else folder.stat().st_mtime

        return sorted((self.root / kind).glob("*"), key=last_use, reverse=True)

    def remove_unused(self, kind: str, key: str) -> bool:
        """Remove an entry, unless a process uses it; whether it is gone."""
        path = self._use_file(kind, key)
        with self._errors(f"the lock of {key}"):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                hold = lock_file(path, EXCLUSIVE)
            except BlockingIOError:
                return False
        with contextlib.closing(hold):
            folder = self.root / kind / key
            if folder.is_dir():
                self._remove(folder)
            return True

    def _use_file(self, kind: str, key: str) -> Path:
        return self.root / "locks" / f"{kind}-{key}.use"

    def _remove(self, folder: Path) -> None:
        """Remove an entry; renamed first, so that nobody finds a half-removed one."""
        with self._errors(f"the cache entry {folder}"), self.scratch(folder.name) as aside:
            folder.rename(aside / "removed")

    @contextlib.contextmanager
    def _errors(self, subject: str, only: Container[int | None] | None = None) -> Iterator[None]:
        """Errors of the operating system as CacheError, with what can be done about them.

        only: those with these numbers, others pass; None: all.
        """
        try:
            yield
        except OSError as error:
            if only is not None and error.errno not in only:
                raise
            raise CacheError(
                f"{subject} under {self.root} cannot be written: {error}",
                f"free space or rights there, or set {ENVIRONMENT} to another folder",
            ) from error

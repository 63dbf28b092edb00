"""Files outside the cache that must not outlive their process, such as the disks of guests.

    <root>/claims/<name>.json   folder and patterns of the files; locked while the process lives

A process that is killed leaves its files and its claim, without the lock: whoever makes the next
claim, or tidies the cache, removes both.
"""

import contextlib
import fcntl
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab.cache.store import EXCLUSIVE, Cache, Hold

_SUFFIX = ".json"
# A claim has another name until it is written and locked; it is nobody's after so many seconds.
_NEW, NEW_AGE = ".new", 60.0


@contextlib.contextmanager
def claimed(cache: Cache, folder: Path, patterns: Sequence[str]) -> Iterator[None]:
    """While this lasts, the files below a folder that fit the patterns belong to this process.

    To remove them in the end is still the caller's; if the process is killed, another one does it.
    """
    sweep_claims(cache)
    descriptor, name = tempfile.mkstemp(suffix=_NEW, dir=_claims(cache))
    hold = Hold(descriptor)
    new = Path(name)
    claim = new.with_suffix(_SUFFIX)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        text = json.dumps({"folder": str(folder.absolute()), "patterns": list(patterns)})
        new.write_text(text, encoding="utf-8")
        new.rename(claim)
        yield
    finally:
        for path in (new, claim):
            path.unlink(missing_ok=True)
        hold.close()


def sweep_claims(cache: Cache) -> None:
    """Remove what killed processes had claimed, and their claims."""
    for claim in _claims(cache).iterdir():
        with contextlib.suppress(FileNotFoundError):
            if claim.suffix == _NEW and time.time() - claim.stat().st_mtime < NEW_AGE:
                continue
            hold = Hold(os.open(claim, os.O_RDONLY | os.O_CLOEXEC))
            with contextlib.closing(hold), contextlib.suppress(BlockingIOError):
                fcntl.flock(hold.descriptor, EXCLUSIVE)
                # Its process may have ended in order since, and the folder be another one's now.
                if os.fstat(hold.descriptor).st_nlink > 0:
                    _remove_claimed(claim)
                    claim.unlink(missing_ok=True)


def _claims(cache: Cache) -> Path:
    folder = cache.root / "claims"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _remove_claimed(claim: Path) -> None:
    """Remove the files that a claim is about; one that was never finished is about none."""
    try:
        told = json.loads(claim.read_text(encoding="utf-8"))
        folder, patterns = Path(told["folder"]), [str(pattern) for pattern in told["patterns"]]
    except (ValueError, KeyError, TypeError):
        return
    for pattern in patterns:
        for path in folder.glob(pattern):
            with contextlib.suppress(OSError):
                path.unlink()

"""The seal of a cache entry: what each of its files was when it was built.

Reading gigabytes at every start would take longer than a scenario. So a file whose size, inode and
times are as they were is taken as unchanged (nobody can set the time of change, ctime), and only a
file that differs in one of them is read.
"""

import json
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.cache.digest import digest_file, digest_of

SEAL = "seal.json"


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
    # Several threads, and containers whose processes have the same numbers, may do this at once.
    aside = folder / f".{SEAL}.{uuid.uuid4().hex}"
    try:
        aside.write_text(text, encoding="utf-8")
        aside.replace(folder / SEAL)
    finally:
        aside.unlink(missing_ok=True)


def contents(folder: Path) -> str:
    """Digest of what an entry holds, by its seal: another one if it was built anew and differs."""
    loaded = json.loads((folder / SEAL).read_text(encoding="utf-8"))
    return digest_of(*(part for name in sorted(loaded) for part in (name, loaded[name]["digest"])))


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

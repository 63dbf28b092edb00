"""The cache is bounded, and what killed processes left goes, wherever it lies."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from lab.cache import Cache, Hold, claimed, holdings, tidy
from lab.cache.store import lock_file
from lab.cache.tidy import KEPT

CLAIMER = """
import sys, time
from pathlib import Path
from lab.cache import Cache, claimed
folder = Path(sys.argv[2])
with claimed(Cache(Path(sys.argv[1])), folder, ["*.raw"]), Cache(Path(sys.argv[1])).scratch("x"):
    (folder / "disk.raw").write_text("disk")
    (folder / "console.log").write_text("text")
    print("claimed", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@contextmanager
def other_process(cache: Cache, folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that has a claim and a scratch folder."""
    folder.mkdir()
    command = [sys.executable, "-c", CLAIMER, str(cache.root), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "claimed\n"
            yield process
        finally:
            process.kill()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_files_of_a_killed_process_go_and_those_of_a_live_one_stay(
    cache: Cache, tmp_path: Path
) -> None:
    folder = tmp_path / "results"
    with other_process(cache, folder) as process:
        tidy(cache)
        assert names(folder) == ["console.log", "disk.raw"]
        assert len(names(cache.root / "aside")) == 1
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert names(folder) == ["console.log", "disk.raw"]
        tidy(cache)
    assert names(folder) == ["console.log"]
    assert names(cache.root / "aside") == []
    assert names(cache.root / "claims") == []


def test_the_next_claim_sweeps_too(cache: Cache, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    with other_process(cache, folder) as process:
        process.kill()
        process.wait()
        with claimed(cache, tmp_path / "other", ["*.raw"]):
            assert names(folder) == ["console.log"]


def test_a_claim_ends_without_touching_the_files(cache: Cache, tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_text("")
    with claimed(cache, tmp_path, ["*.raw"]):
        assert len(names(cache.root / "claims")) == 1
    tidy(cache)
    assert (tmp_path / "a.raw").exists()
    assert names(cache.root / "claims") == []


def test_a_claim_that_was_never_finished_is_removed(cache: Cache) -> None:
    claims = cache.root / "claims"
    claims.mkdir(parents=True)
    (claims / "half.json").write_text('{"folder": ')
    (claims / "old.new").write_text("")
    os.utime(claims / "old.new", (0, 0))
    (claims / "young.new").write_text("")
    tidy(cache)
    assert names(claims) == ["young.new"]


def test_each_kind_is_bounded_and_the_last_used_stay(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KEPT, "modules", 2)
    for number in range(4):
        cache.entry("modules", f"k{number}", lambda folder: (folder / "f").write_bytes(b"x" * 5000))
        os.utime(cache.root / "locks" / f"modules-k{number}.use", (number, number))
    cache.entry("modules", "k0", lambda _folder: None)
    tidy(cache)
    assert names(cache.root / "modules") == ["k0", "k3"]
    (one,) = holdings(cache)
    assert (one.kind, one.count, one.limit) == ("modules", 2, 2)
    assert one.size >= 2 * 5000


def test_locks_of_entries_that_are_gone_are_forgotten(cache: Cache) -> None:
    for key in ("stays", "goes"):
        cache.entry("modules", key, lambda _folder: None)
    cache.discard("modules", "goes")
    tidy(cache)
    left = {name.partition(".")[0] for name in names(cache.root / "locks")}
    assert left == {"modules-stays"}


def test_a_lock_that_is_held_is_not_forgotten_however_old(cache: Cache) -> None:
    with cache.lock("modules-key"), closing(cache.use("modules", "key")):
        for path in (cache.root / "locks").iterdir():
            os.utime(path, (0, 0))
        tidy(cache)
        assert names(cache.root / "locks") == ["modules-key.lock", "modules-key.use"]


def test_who_waits_for_a_lock_that_is_forgotten_meanwhile_gets_the_next_one(cache: Cache) -> None:
    first = cache.use("modules", "key")
    path = cache.root / "locks" / "modules-key.use"
    got: list[Hold] = []
    waiting = threading.Thread(target=lambda: got.append(lock_file(path, fcntl.LOCK_EX)))
    waiting.start()
    while f":{path.stat().st_ino} " not in "".join(blocked_locks()):
        time.sleep(0.01)
    path.unlink()
    first.close()
    waiting.join()
    assert os.fstat(got[0].descriptor).st_ino == path.stat().st_ino


def blocked_locks() -> list[str]:
    """What the kernel says of locks that somebody waits for."""
    return [line for line in Path("/proc/locks").read_text().splitlines() if "->" in line]

"""The cache: nothing half-built is seen, what is damaged is rebuilt, what is in use stays."""

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.cache import Cache, CacheError, cache_root, digest_file, digest_of, store, tidy
from lab.cache.seal import damage
from lab.cache.tidy import KEPT
from lab.errors import EnvironmentLack
from lab.progress import Progress
from lab.units import MIB


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def writes(text: str, calls: list[str]):
    def build(folder: Path) -> None:
        calls.append(text)
        (folder / "sub").mkdir()
        (folder / "sub" / "file").write_text(text)

    return build


def test_an_entry_is_built_once(cache: Cache) -> None:
    calls: list[str] = []
    first = cache.entry("kind", "key", writes("a", calls))
    second = cache.entry("kind", "key", writes("b", calls))
    assert first == second
    assert (first / "sub/file").read_text() == "a"
    assert calls == ["a"]


def test_a_build_that_fails_leaves_nothing(cache: Cache) -> None:
    def build(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise RuntimeError("no luck")

    with pytest.raises(RuntimeError):
        cache.entry("kind", "key", build)
    assert not (cache.root / "kind" / "key").exists()
    assert list((cache.root / "aside").iterdir()) == []
    assert cache.entry("kind", "key", writes("a", [])).is_dir()


def test_an_interrupted_build_leaves_nothing(cache: Cache) -> None:
    def build(_folder: Path) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.entry("kind", "key", build)
    assert list((cache.root / "aside").iterdir()) == []


@pytest.mark.parametrize("same_length", [True, False])
def test_a_changed_file_is_found_and_the_entry_rebuilt(cache: Cache, same_length: bool) -> None:
    calls: list[str] = []
    told: list[Progress] = []
    folder = cache.entry("kind", "key", writes("good", calls))
    (folder / "sub/file").write_text("evil" if same_length else "much worse")
    cache.entry("kind", "key", writes("good", calls), told.append)
    assert (folder / "sub/file").read_text() == "good"
    assert calls == ["good", "good"]
    assert "sub/file is not what was built" in told[0].detail


def test_a_change_that_hides_its_time_is_found(cache: Cache) -> None:
    calls: list[str] = []
    folder = cache.entry("kind", "key", writes("good", calls))
    before = (folder / "sub/file").stat()
    (folder / "sub/file").write_text("evil")
    os.utime(folder / "sub/file", ns=(before.st_atime_ns, before.st_mtime_ns))
    cache.entry("kind", "key", writes("good", calls))
    assert len(calls) == 2


def test_a_missing_file_or_seal_is_found(cache: Cache) -> None:
    calls: list[str] = []
    for name in ("sub/file", "seal.json"):
        folder = cache.entry("kind", "key", writes("good", calls))
        (folder / name).unlink()
    cache.entry("kind", "key", writes("good", calls))
    assert len(calls) == 3


def test_a_file_with_a_new_time_and_the_same_content_is_good(cache: Cache) -> None:
    calls: list[str] = []
    folder = cache.entry("kind", "key", writes("good", calls))
    (folder / "sub/file").write_text("good")
    cache.entry("kind", "key", writes("good", calls))
    assert len(calls) == 1


def test_two_builders_at_once_build_once(cache: Cache) -> None:
    calls: list[str] = []
    started, go_on = threading.Event(), threading.Event()

    def slow(folder: Path) -> None:
        calls.append("slow")
        started.set()
        assert go_on.wait(10)
        (folder / "file").write_text("slow")

    told: list[Progress] = []

    def tell(progress: Progress) -> None:
        told.append(progress)
        go_on.set()

    first = threading.Thread(target=cache.entry, args=("kind", "key", slow))
    first.start()
    assert started.wait(10)
    folder = cache.entry("kind", "key", writes("second", calls), tell)
    first.join()
    assert calls == ["slow"]
    assert (folder / "file").read_text() == "slow"
    assert "waiting for another process" in told[0].detail


def test_who_has_waited_too_long_is_told_for_what(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "WAIT_LIMIT", 0.5)
    with cache.lock("kind-key"), pytest.raises(CacheError) as caught:
        cache.entry("kind", "key", writes("a", []))
    assert str(cache.root / "locks" / "kind-key.lock") in caught.value.what


def test_what_a_killed_process_left_is_swept_and_live_work_is_not(cache: Cache) -> None:
    aside = cache.root / "aside"
    dead, dead_before_its_lock, about_to_lock = (
        aside / name for name in ("dead.x", ".new.dead.y", ".new.live.z")
    )
    for folder in (dead, dead_before_its_lock, about_to_lock):
        folder.mkdir(parents=True)
    os.utime(dead_before_its_lock, (0, 0))
    with cache.scratch("live") as live:
        os.utime(live, (0, 0))
        with cache.scratch("other") as other:
            assert sorted(aside.iterdir()) == sorted([live, other, about_to_lock])


def test_an_entry_that_is_being_built_is_not_pruned(cache: Cache) -> None:
    gone: list[bool] = []

    def build(folder: Path) -> None:
        (folder / "file").write_text("x")
        gone.append(cache.remove_unused("kind", "key"))

    assert cache.entry("kind", "key", build).is_dir()
    assert gone == [False]
    assert cache.remove_unused("kind", "key")
    assert not (cache.root / "kind" / "key").exists()


def test_the_newest_and_what_is_used_stay(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KEPT, "kind", 2)
    for number in range(4):
        cache.entry("kind", f"k{number}", writes("x", []))
        cache.use("kind", f"k{number}").close()
        os.utime(cache.root / "locks" / f"kind-k{number}.use", (number, number))
    hold = cache.use("kind", "k0")
    os.utime(cache.root / "locks" / "kind-k0.use", (0, 0))
    tidy(cache)
    assert sorted(p.name for p in (cache.root / "kind").iterdir()) == ["k0", "k2", "k3"]
    hold.close()
    tidy(cache)
    assert sorted(p.name for p in (cache.root / "kind").iterdir()) == ["k2", "k3"]


def test_a_cache_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    """Whatever is done with it; it is something that the machine lacks."""
    (tmp_path / "file").write_text("")
    bad = Cache(tmp_path / "file" / "cache")
    uses: list[Callable[[], object]] = [
        lambda: bad.entry("kind", "key", writes("x", [])),
        lambda: bad.scratch("shell").__enter__(),
        bad.sweep,
        bad.require,
    ]
    for use in uses:
        with pytest.raises(CacheError) as caught:
            use()
        assert "BLKSNAP_LAB_CACHE" in str(caught.value)
        assert isinstance(caught.value, EnvironmentLack)


def test_a_cache_that_can_be_written_has_nothing_more_in_it_then(cache: Cache) -> None:
    cache.require()
    assert list((cache.root / "aside").iterdir()) == []


@pytest.mark.parametrize(
    ("number", "told"),
    [(errno.ENOSPC, CacheError), (errno.EROFS, CacheError), (errno.ENOENT, FileNotFoundError)],
)
def test_an_error_of_a_build_is_one_of_the_cache_only_if_it_is_about_room(
    cache: Cache, number: int, told: type[Exception]
) -> None:
    def build(folder: Path) -> None:
        raise OSError(number, os.strerror(number), str(folder / "file"))

    with pytest.raises(told):
        cache.entry("kind", "key", build)


def test_the_root_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLKSNAP_LAB_CACHE", "/somewhere")
    assert cache_root() == Path("/somewhere")


def test_borders_between_texts_count() -> None:
    assert digest_of("ab", "c") != digest_of("a", "bc")
    assert digest_of("ab") == digest_of(b"ab")


def test_holes_and_zeros_have_the_same_digest(tmp_path: Path) -> None:
    sparse, full = tmp_path / "sparse", tmp_path / "full"
    with sparse.open("wb") as file:
        file.truncate(5 * MIB + 17)
        file.seek(3 * MIB + 5)
        file.write(b"x")
    full.write_bytes(sparse.read_bytes())
    assert digest_file(sparse) == digest_file(full)


@pytest.mark.parametrize("offset", [0, MIB - 1, MIB, 3 * MIB + 16])
def test_every_byte_counts(tmp_path: Path, offset: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(3 * MIB + 17))
    before = digest_file(path)
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\1")
    assert digest_file(path) != before


def test_the_length_counts(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(10))
    before = digest_file(path)
    path.write_bytes(bytes(11))
    assert digest_file(path) != before


def test_two_that_seal_an_entry_again_are_not_in_each_others_way(cache: Cache) -> None:
    folder = cache.entry("kind", "key", writes("a", []))
    failed: list[Exception] = []

    def touch() -> None:
        for _ in range(40):
            (folder / "sub/file").touch()
            try:
                assert damage(folder) is None
            except Exception as error:
                failed.append(error)

    threads = [threading.Thread(target=touch) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert failed == []
    assert sorted(path.name for path in folder.iterdir()) == ["seal.json", "sub"]

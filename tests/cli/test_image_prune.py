"""`image prune`: what goes, what stays, and that it is told."""

import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab.cache import Cache
from lab.cache.tidy import KEPT
from lab.cli.main import app
from lab.image import BUILT_KERNELS, KERNELS, Recipe

CURRENT = [Recipe(kernel).key for kernel in (*KERNELS, *BUILT_KERNELS)]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    monkeypatch.setenv("BLKSNAP_LAB_CACHE", str(tmp_path))
    cache = Cache()
    for key in [*CURRENT, "old-recipe"]:
        cache.entry("images", key, lambda folder: (folder / "disk").write_bytes(b"x" * (2 << 20)))
        (tmp_path / "compiler").mkdir(exist_ok=True)
        (tmp_path / "compiler" / f"{key}.tar").write_text("")
    return cache


def prune(*words: str) -> str:
    result = CliRunner().invoke(app, ["image", "prune", *words], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def left(cache: Cache) -> set[str]:
    images = {path.name for path in (cache.root / "images").iterdir()}
    assert {path.stem for path in (cache.root / "compiler").iterdir()} == images
    return images


def test_images_of_no_kernel_go(cache: Cache) -> None:
    told = prune()
    assert left(cache) == set(CURRENT)
    assert "removed images/old-recipe: 2 MiB" in told
    assert "2 MiB freed" in told


def test_a_dry_run_only_tells(cache: Cache) -> None:
    assert "would remove images/old-recipe: 2 MiB" in prune("--dry-run")
    assert len(left(cache)) == len(CURRENT) + 1


def test_named_kernels_go_too(cache: Cache) -> None:
    prune("--kernel", KERNELS[0].name)
    assert left(cache) == set(CURRENT[1:])
    prune("--kernel", "all")
    assert left(cache) == set(CURRENT[len(KERNELS) :])


def test_what_is_in_use_stays(cache: Cache) -> None:
    hold = cache.use("images", CURRENT[0])
    told = prune("--kernel", "all")
    assert left(cache) == {CURRENT[0], *CURRENT[len(KERNELS) :]}
    assert f"in use, stays images/{CURRENT[0]}: " in told
    hold.close()


def test_what_is_beyond_the_bounds_goes_and_is_told(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KEPT, "modules", 1)
    for number in range(3):
        cache.entry(
            "modules", f"m{number}", lambda folder: (folder / "x").write_bytes(bytes(2 << 20))
        )
        cache.use("modules", f"m{number}").close()
        os.utime(cache.root / "locks" / f"modules-m{number}.use", (number, number))
    expected = ["modules/m1: 2 MiB", "modules/m0: 2 MiB"]
    dry, real = prune("--dry-run"), prune()
    assert [line for line in dry.splitlines() if "modules" in line] == [
        f"would remove {one}" for one in expected
    ]
    assert [line for line in real.splitlines() if "modules" in line] == [
        f"removed {one}" for one in expected
    ]
    assert "6 MiB would be freed" in dry
    assert "6 MiB freed" in real
    assert [path.name for path in cache.entries("modules")] == ["m2"]


def test_a_cache_that_was_brought_here_without_its_locks_can_be_pruned(cache: Cache) -> None:
    """Pipelines restore images only."""
    shutil.rmtree(cache.root / "locks")
    assert "2 MiB freed" in prune()


def test_an_image_that_goes_anyway_is_not_counted_for_the_bound(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KEPT, "images", len(CURRENT))
    assert (
        prune("--dry-run").splitlines()
        == prune()
        .replace("removed", "would remove")
        .replace("freed", "would be freed")
        .splitlines()
    )
    assert left(cache) == set(CURRENT)

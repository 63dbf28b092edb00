"""`image prune`: what goes, what stays, and that it is told."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab.cache import Cache
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
    assert "removed old-recipe: 2 MiB" in told
    assert "2 MiB freed" in told


def test_a_dry_run_only_tells(cache: Cache) -> None:
    assert "would remove old-recipe: 2 MiB" in prune("--dry-run")
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
    assert f"in use, stays {CURRENT[0]}: " in told
    hold.close()

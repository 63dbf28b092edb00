"""Kernels of the matrix and the recipes of their images."""

import subprocess
from pathlib import Path

import pytest

from lab.cache import Cache
from lab.errors import UsageError
from lab.image import KERNELS, ImageFacts, Kernel, Recipe, find_image, kernel_named, kernel_names
from lab.image.rootfs import archive_options


def test_everything_in_a_recipe_counts_for_its_key() -> None:
    keys = {
        Recipe().key,
        *(Recipe(kernel).key for kernel in KERNELS),
        Recipe(Kernel("6.1", "bookworm", archive="elsewhere")).key,
        Recipe(Kernel("6.1", "bookworm", packages=("perl",))).key,
        Recipe(packages=("gcc",)).key,
        Recipe(excluded=()).key,
    }
    assert len(keys) == 4 + len(KERNELS)
    assert Recipe().key == Recipe(kernel_named("6.1")).key


def test_an_unknown_kernel_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UsageError) as caught:
        kernel_named("6.6")
    assert (caught.value.remedy or "").startswith("one of: 5.10, 6.1, 6.12, 7.x, 6.1-small, ")


def test_all_is_every_kernel_and_none_is_the_default_one() -> None:
    assert kernel_names([]) == ("6.1",)
    assert kernel_names(["7.x", "6.12", "7.x"]) == ("7.x", "6.12")
    assert kernel_names(["all"]) == tuple(kernel.name for kernel in KERNELS)
    assert kernel_names(["6.12", "all", "6.1-debug"]) == ("6.12", "5.10", "6.1", "7.x", "6.1-debug")
    for wanted in (["all", "nosuch"], ["nosuch", "all"]):
        with pytest.raises(UsageError, match="'nosuch'"):
            kernel_names(wanted)


def test_only_the_kernel_comes_from_the_other_archive() -> None:
    include = Recipe(Kernel("7.x", "trixie", archive="trixie-backports")).include
    other = {name for name in include if name.endswith("/trixie-backports")}
    assert {name.partition("/")[0] for name in other} == {
        "linux-image-cloud-amd64",
        "linux-headers-cloud-amd64",
    }
    assert "gcc" in include


def test_another_archive_is_taken_from_the_mirror_of_the_first(tmp_path: Path) -> None:
    folder = tmp_path / "etc/apt"
    (folder / "sources.list.d").mkdir(parents=True)
    lines = "deb http://mirror/debian trixie main\ndeb http://mirror/debian trixie-updates main\n"
    (folder / "sources.list").write_text(lines)
    (option,) = archive_options(Kernel("7.x", "trixie", archive="trixie-backports"))
    hook = option.removeprefix("--setup-hook=")
    subprocess.run(["sh", "-c", hook, "hook", str(tmp_path)], check=True)
    added = (folder / "sources.list.d/kernel.list").read_text()
    assert added == "deb http://mirror/debian trixie-backports main\n"
    assert not archive_options(Kernel("5.10", "bullseye", archive="bullseye"))
    assert not archive_options(Kernel("6.1", "bookworm"))


def test_an_image_is_found_only_if_it_was_built(tmp_path: Path) -> None:
    cache, recipe = Cache(tmp_path), Recipe()
    assert find_image(recipe, cache) is None
    packages = {"gcc-12": "12.2.0-14", "gcc-12-base": "12.2.0-14", "gcc": "4:12.2.0-3"}
    facts = ImageFacts("bookworm", "6.1.0", (), packages)
    cache.entry("images", recipe.key, facts.save)
    image = find_image(recipe, cache)
    assert image is not None
    assert image.facts == facts
    assert image.facts.compiler == "gcc-12 12.2.0-14"
    assert image.size >= 1024

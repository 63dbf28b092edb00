"""Modules for kernels of the lab, which are built on this host."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lab import modbuild
from lab.cache import Cache
from lab.data import data_folder
from lab.errors import LabError, UsageError
from lab.guest.command import Accel
from lab.image import BuiltKernel, Image, ImageFacts, Keys, Toolbox, kernel_named
from lab.image.kernel_build import KernelFacts
from lab.modbuild import BuiltModule, ModuleBuildFailed, build_module
from lab.process import CommandFailed

RELEASE = "6.1.192-debug-01234567"
IMAGE = Image(Path("/image"), "key", ImageFacts("bookworm", RELEASE, (), {"gcc-12": "12.2"}))
LINE = "  CC [M]  a.o\na.c:1:1: warning: this is odd\n"
Build = Callable[[Image], BuiltModule]


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Scripts that were run in the toolbox, which makes one module of the sources that it finds."""
    ran: list[str] = []

    def run(_box: Toolbox, folder: Path, script: str, **_: object) -> str:
        ran.append(script)
        source = folder / "module/a.c"
        if source.exists() and "broken" in source.read_text():
            raise CommandFailed(["make"], 2, "a.c:1:1: error: broken\n")
        for kind in ("modules", "debug"):
            (folder / kind).mkdir()
            (folder / kind / "a.ko").write_text(kind)
        return LINE

    facts = KernelFacts("6.1-debug", "key", RELEASE, "source", "gcc", 1)
    (tmp_path / "config").write_text("CONFIG_BLK_SNAP=m\n")
    monkeypatch.setattr(modbuild, "prepare_kernel", lambda *_: BuiltKernel(tmp_path, facts))
    monkeypatch.setattr(modbuild, "kernel_toolbox", lambda *_: Toolbox(tmp_path))
    monkeypatch.setattr(Toolbox, "run", run)
    return ran


@pytest.fixture
def build(tmp_path: Path) -> Build:
    source = tmp_path / "source"
    source.mkdir()
    (source / "Makefile").write_text("obj-m := a.o\n")
    (source / "a.c").write_text("int x;\n")

    def go(image: Image) -> BuiltModule:
        return build_module(
            source,
            image,
            keys=Keys(tmp_path, tmp_path),
            accel=Accel.TCG,
            cache=Cache(tmp_path / "cache"),
            kernel=kernel_named("6.1-debug"),
        )

    return go


def test_it_is_built_once_with_the_headers_of_its_kernel(build: Build, scripts: list[str]) -> None:
    built = build(IMAGE)
    assert build(IMAGE) == built
    (script,) = scripts
    assert f"/usr/src/linux-headers-{RELEASE} M=/mnt/module" in script
    assert built.facts.modules == ("a.ko",)
    assert built.facts.warnings == ("a.c:1:1: warning: this is odd",)
    assert (built.load_folder / "a.ko").read_text() == "modules"
    assert (built.debug_folder / "a.ko").read_text() == "debug"


@pytest.mark.usefixtures("scripts")
def test_what_the_compiler_says_is_told(build: Build, tmp_path: Path) -> None:
    (tmp_path / "source/a.c").write_text("broken\n")
    with pytest.raises(ModuleBuildFailed, match=r"a\.c:1:1: error: broken"):
        build(IMAGE)


@pytest.mark.usefixtures("scripts")
def test_an_image_with_another_build_of_the_kernel_is_refused(build: Build) -> None:
    older = replace(IMAGE, facts=replace(IMAGE.facts, kernel_release="6.1.190-debug-fedcba98"))
    with pytest.raises(LabError, match=r"6\.1\.190-debug-fedcba98") as caught:
        build(older)
    assert caught.value.remedy == "remove /image"


def build_ours(source: Path, tmp_path: Path) -> BuiltModule:
    keys, cache = Keys(tmp_path, tmp_path), Cache(tmp_path / "cache")
    kernel = kernel_named("6.1-patched")
    return build_module(source, IMAGE, keys=keys, accel=Accel.TCG, cache=cache, kernel=kernel)


def test_the_module_of_a_patched_kernel_is_the_one_in_its_tree(
    scripts: list[str], tmp_path: Path
) -> None:
    built = build_ours(data_folder("guest_module"), tmp_path)
    (script,) = scripts
    assert f"./usr/lib/modules/{RELEASE}/kernel/drivers/block/blksnap/*.ko" in script
    assert "make" not in script
    assert built.facts.modules == ("a.ko",)


@pytest.mark.usefixtures("scripts")
def test_what_the_compiler_warned_of_in_the_kernel_is_told_of_the_module(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    warning = "block/blk-filter.c:12:3: warning: variable 'x' set but not used"
    facts = KernelFacts("6.1-patched", "key", RELEASE, "source", "gcc", 1, (warning,))
    monkeypatch.setattr(modbuild, "prepare_kernel", lambda *_: BuiltKernel(tmp_path, facts))
    assert warning in build_ours(data_folder("guest_module"), tmp_path).warnings


def test_other_sources_are_built_for_a_patched_kernel_as_for_any(
    scripts: list[str], tmp_path: Path
) -> None:
    changed = Path(shutil.copytree(data_folder("guest_module"), tmp_path / "changed"))
    (changed / "tracker.c").write_text((changed / "tracker.c").read_text() + "/* changed */\n")
    build_ours(changed, tmp_path)
    (script,) = scripts
    assert "M=/mnt/module" in script


@pytest.mark.usefixtures("scripts")
def test_a_module_that_is_built_in_cannot_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("CONFIG_BLK_SNAP=y\n")
    with pytest.raises(UsageError, match="built in"):
        build_ours(data_folder("guest_module"), tmp_path)

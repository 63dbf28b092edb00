"""What decides a kernel of the lab, and what is told of its build."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab.cache import Cache
from lab.cache.store import WAIT_LIMIT
from lab.cli.main import app
from lab.errors import LabError, UsageError
from lab.image import (
    BUILT_KERNELS,
    KERNELS,
    Kernel,
    Recipe,
    Toolbox,
    kernel_build,
    kernel_named,
    rootfs,
    store,
    toolbox,
)
from lab.image import kernel_names as names
from lab.image.kconfig import ConfigError, Fragment
from lab.image.kernel_build import (
    BuiltKernel,
    KernelBuildFailed,
    KernelFacts,
    check_kernel_config,
    complaints,
    kernel_key,
    local_version,
    prepare_kernel,
    read_facts,
    toolbox_recipe,
)
from lab.image.patches import PatchFile, kernel_patches
from lab.process import CommandFailed
from lab.progress import Progress

DEBUG, PATCHED = kernel_named("6.1-debug"), kernel_named("6.1-patched")
WARNING = "block/blk-filter.c:12:3: warning: variable 'x' set but not used"
PACKAGES = {"linux-source-6.1": "6.1.170-1", "gcc-12": "12.2.0-14", "binutils": "2.40-2"}


def test_who_waits_for_an_image_waits_as_long_as_its_kernel_may_take() -> None:
    root = rootfs.DOWNLOAD_LIMIT + 2 * toolbox.UNPACK_LIMIT
    kernel = kernel_build.UNPACK_LIMIT + kernel_build.BUILD_LIMIT
    kernel += 2 * kernel_build.CONFIGURE_LIMIT + 2 * kernel_build.INSTALL_LIMIT
    image = rootfs.DOWNLOAD_LIMIT + store.JOIN_LIMIT + 2 * rootfs.CONVERT_LIMIT
    assert root + kernel + image < WAIT_LIMIT


def test_everything_that_decides_a_kernel_counts_for_its_key() -> None:
    base, other = Fragment("base", "CONFIG_SMP=y\n"), Fragment("base", "CONFIG_SMP=y\n\n")
    keys = {
        kernel_key(DEBUG, [base], PACKAGES),
        kernel_key(kernel_named("6.1-kcsan"), [base], PACKAGES),
        kernel_key(DEBUG, [other], PACKAGES),
        kernel_key(DEBUG, [base, base], PACKAGES),
        kernel_key(DEBUG, [base], {**PACKAGES, "linux-source-6.1": "6.1.171-1"}),
        kernel_key(DEBUG, [base], {**PACKAGES, "gcc-12": "12.2.0-15"}),
        kernel_key(DEBUG, [base], {**PACKAGES, "binutils": "2.40-3"}),
        kernel_key(DEBUG, [base], PACKAGES, (PatchFile("1.patch", "+a\n"),)),
        kernel_key(DEBUG, [base], PACKAGES, (PatchFile("1.patch", "+b\n"),)),
        kernel_key(DEBUG, [base], PACKAGES, (PatchFile("2.patch", "+b\n"),)),
    }
    assert len(keys) == 10
    assert kernel_key(DEBUG, [base], {**PACKAGES, "bash": "5"}) in keys


def test_the_release_says_which_build_it_is() -> None:
    assert local_version("6.1-debug-0123456789abcdef") == "-debug-01234567"
    assert local_version("6.1-patched-debug-0123456789abcdef") == "-patched-debug-01234567"


def test_built_kernels_are_known_by_name_but_are_not_all() -> None:
    assert names(["6.1-debug", "6.1"]) == ("6.1-debug", "6.1")
    assert set(names(["all"])).isdisjoint(kernel.name for kernel in BUILT_KERNELS)
    with pytest.raises(UsageError) as caught:
        kernel_named("6.1-nothing")
    assert "6.1-kcsan" in (caught.value.remedy or "")


def test_images_of_built_kernels_have_no_kernel_package(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe(DEBUG)
    assert not any("linux-" in name for name in recipe.include)
    assert set(recipe.include) < set(Recipe(kernel_named("6.1")).include)
    keys = {Recipe(kernel).key for kernel in KERNELS + BUILT_KERNELS}
    assert len(keys) == len(KERNELS) + len(BUILT_KERNELS)
    monkeypatch.setattr("lab.image.recipe.read_fragment", lambda name: Fragment(name, ""))
    assert Recipe(DEBUG).key not in keys


def test_all_configurations_of_a_source_share_a_toolbox() -> None:
    recipes = {kernel.name: toolbox_recipe(kernel).key for kernel in BUILT_KERNELS}
    assert recipes["6.1-debug"] == recipes["6.1-kcsan"] != recipes["6.12-debug"]
    assert "linux-source-6.1" in toolbox_recipe(DEBUG).include


def test_complaints_are_found_in_what_make_says() -> None:
    output = "  CC      a.o\na.c:3:2: error: no such thing\nmake: *** [x] Error 2\n  CC  b.o\n"
    assert complaints(output).splitlines()[1:] == [
        "a.c:3:2: error: no such thing",
        "make: *** [x] Error 2",
    ]
    assert complaints("killed\n").splitlines()[1:] == ["killed"]


class FakeBuild:
    """Takes the place of the toolbox: does what the scripts would have done to the files."""

    def __init__(self, lost: str = "", fails: bool = False, rejects: str = "") -> None:
        self.lost, self.fails, self.rejects = lost, fails, rejects
        self.builds = 0
        self.applied: list[str] = []
        self.warned: list[str] = []

    def run(self, folder: Path, script: str, **options: object) -> str:
        tree = folder / "tree"
        if "patch --strip=1" in script:
            self.applied = [path.name for path in sorted((folder / "patches").iterdir())]
            if self.rejects:
                raise CommandFailed(["sh"], 1, f"{self.rejects}:\n1 out of 2 hunks FAILED\n")
        elif "allnoconfig" in script:
            wanted = (folder / "wanted.config").read_text()
            tree.mkdir()
            text = wanted.replace(f"{self.lost}=y\n", "") if self.lost else wanted
            (tree / ".config").write_text(text)
        elif "bzImage" in script and "cp" not in script:
            self.builds += 1
            if self.fails:
                raise CommandFailed(["make"], 2, "a.c:1:1: error: broken\n")
            for line in ("  CC      init/main.o", "  AS [M]  lib/x.o", "  LD      vmlinux"):
                options["on_line"](line)  # type: ignore[operator]
            return "  CC      init/main.o\n"
        elif "W=1" in script:
            self.warned = script.splitlines()[-1].partition("W=1 ")[2].split()
            return f"  CC      {self.warned[0]}\n{WARNING}\n"
        elif "modules_install" in script:
            for name in ("kernel.tar", "config", "System.map"):
                (folder / name).write_text(name)
            return "release 6.1.170-debug-01234567\n"
        return ""


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeBuild:
    """A build that takes no time; the toolbox has our packages."""
    build = FakeBuild()
    monkeypatch.setattr(kernel_build, "unpack_toolbox", lambda *_: Toolbox(tmp_path))
    monkeypatch.setattr(Toolbox, "packages", lambda _: PACKAGES)
    monkeypatch.setattr(Toolbox, "run", build.run)
    return build


def test_a_kernel_is_built_once(fake: FakeBuild, tmp_path: Path) -> None:
    told: list[Progress] = []
    first = prepare_kernel(DEBUG, Cache(tmp_path / "cache"), told.append)
    again = prepare_kernel(DEBUG, Cache(tmp_path / "cache"))
    assert first == again
    assert fake.builds == 1
    assert first.facts.release == "6.1.170-debug-01234567"
    assert first.facts.source == "linux-source-6.1 6.1.170-1"
    assert first.facts.compiler == "binutils 2.40-2, gcc-12 12.2.0-14"
    assert first.facts.objects == 2
    assert first.archive.read_text() == "kernel.tar"
    assert any("compiled 2 files" in one.detail for one in told)
    fractions = [one.fraction for one in told if one.fraction is not None]
    assert fractions == sorted(fractions)


def test_an_option_that_got_lost_is_an_error_and_nothing_is_kept(
    fake: FakeBuild, tmp_path: Path
) -> None:
    fake.lost = "CONFIG_KASAN"
    with pytest.raises(ConfigError, match="CONFIG_KASAN should be y and is n"):
        prepare_kernel(DEBUG, Cache(tmp_path / "cache"))
    assert fake.builds == 0
    assert not list((tmp_path / "cache" / "kernels").glob("*"))


def test_a_configuration_is_checked_without_a_build(fake: FakeBuild, tmp_path: Path) -> None:
    assert check_kernel_config(DEBUG, Cache(tmp_path / "cache")) == ()
    fake.lost = "CONFIG_KASAN"
    (line,) = check_kernel_config(DEBUG, Cache(tmp_path / "cache"))
    assert line == "CONFIG_KASAN should be y and is n"
    assert fake.builds == 0
    assert check_kernel_config(PATCHED, Cache(tmp_path / "cache")) == ()
    assert fake.applied


def test_what_got_lost_is_told(fake: FakeBuild, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.cli.kernel.require_programs", lambda: None)
    words = ["kernel", "build", "--check-config", "6.1-small", "6.1-debug"]
    told = CliRunner().invoke(app, words)
    assert (told.exit_code, told.stdout) == (
        0, "6.1-small: as asked for\n6.1-debug: as asked for\n",
    )  # fmt: skip
    fake.lost = "CONFIG_KASAN"
    told = CliRunner().invoke(app, words)
    assert told.exit_code == 1
    assert "6.1-debug: not as asked for:\n  CONFIG_KASAN should be y and is n\n" in told.stdout


@pytest.mark.slow
@pytest.mark.toolbox
@pytest.mark.parametrize("kernel", BUILT_KERNELS, ids=lambda kernel: kernel.name)
def test_no_option_of_a_configuration_gets_lost(kernel: Kernel) -> None:
    assert check_kernel_config(kernel, Cache()) == ()


def test_a_build_that_fails_says_why(fake: FakeBuild, tmp_path: Path) -> None:
    fake.fails = True
    with pytest.raises(KernelBuildFailed, match=r"a.c:1:1: error: broken"):
        prepare_kernel(DEBUG, Cache(tmp_path / "cache"))


def test_patches_go_over_the_source_in_order(fake: FakeBuild, tmp_path: Path) -> None:
    prepare_kernel(PATCHED, Cache(tmp_path / "cache"))
    assert fake.applied == [patch.name for patch in kernel_patches(PATCHED)]
    assert fake.applied[0].startswith("0001-block-")
    assert len(fake.applied) == 10
    fake.applied = []
    prepare_kernel(DEBUG, Cache(tmp_path / "cache"))
    assert fake.applied == []


def test_what_patches_add_is_compiled_with_more_warnings(fake: FakeBuild, tmp_path: Path) -> None:
    built = prepare_kernel(PATCHED, Cache(tmp_path / "cache"))
    assert built.facts.warnings == (WARNING,)
    assert {"block/blk-filter.o", "block/blk-filter-settle.o"} < {*fake.warned}
    assert "drivers/block/blksnap/chunk.o" in fake.warned
    assert "block/blk-core.o" not in fake.warned
    fake.warned = []
    assert prepare_kernel(DEBUG, Cache(tmp_path / "cache")).facts.warnings == ()
    assert fake.warned == []


def test_of_a_kernel_of_an_older_lab_no_warnings_are_known(fake: FakeBuild, tmp_path: Path) -> None:
    built = prepare_kernel(PATCHED, Cache(tmp_path / "cache"))
    fields = json.loads((built.folder / "kernel.json").read_text())
    assert fields.pop("warnings") == [WARNING]
    assert read_facts(json.dumps(fields)) == replace(built.facts, warnings=())


def test_a_patch_that_does_not_apply_is_named_and_nothing_is_kept(
    fake: FakeBuild, tmp_path: Path
) -> None:
    fake.rejects = "0003-a.patch"
    with pytest.raises(KernelBuildFailed, match=r"(?s)0003-a\.patch.*FAILED"):
        prepare_kernel(PATCHED, Cache(tmp_path / "cache"))
    assert fake.builds == 0
    assert not list((tmp_path / "cache" / "kernels").glob("*"))


def test_images_of_a_patched_kernel_are_those_of_its_series(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = Recipe(PATCHED).key
    monkeypatch.setattr("lab.image.recipe.kernel_patches", lambda _: (PatchFile("a", "b"),))
    assert Recipe(PATCHED).key != before


def test_a_series_that_is_not_there_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("lab.image.patches.data_folder", lambda _: tmp_path)
    with pytest.raises(LabError, match="there are no patches in"):
        kernel_patches(PATCHED)
    assert kernel_patches(DEBUG) == ()


def test_filters_are_built_in_where_there_is_a_series() -> None:
    names = [kernel.name for kernel in KERNELS + BUILT_KERNELS if kernel.has_filters]
    configs = ("patched", "patched-debug", "builtin")
    assert names == [f"{base}-{config}" for base in ("6.1", "6.12") for config in configs]
    assert kernel_named("6.1-patched-debug").is_debug
    assert kernel_named("6.1-patched").more_memory == 0


def test_the_module_is_built_in_where_the_configuration_says_so() -> None:
    names = [kernel.name for kernel in KERNELS + BUILT_KERNELS if kernel.has_module_built_in]
    assert names == ["6.1-builtin", "6.12-builtin"]


def test_whether_the_module_is_one_is_in_the_configuration(tmp_path: Path) -> None:
    facts = KernelFacts("6.1-patched", "key", "release", "source", "gcc", 1)
    for line, is_module in (("CONFIG_BLK_SNAP=m", True), ("CONFIG_BLK_SNAP=y", False), ("", False)):
        (tmp_path / "config").write_text(f"CONFIG_SMP=y\n{line}\n")
        assert BuiltKernel(tmp_path, facts).has_module is is_module

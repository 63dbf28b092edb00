"""What of a module's folder is built, and what makes another build."""

from pathlib import Path

import pytest

from lab.errors import UsageError
from lab.image import Image, ImageFacts
from lab.modbuild import ModuleBuildFailed, compiler_of, module_key, source_files

FACTS = ImageFacts(
    "bookworm", "6.1.0", (), {"gcc": "4:12", "linux-headers-6.1": "6.1.1", "vim": "9"}
)
IMAGE = Image(Path("/image"), "key", FACTS)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "Makefile").write_text("obj-m := a.o\n")
    (tmp_path / "a.c").write_text("int x;\n")
    (tmp_path / "include").mkdir()
    (tmp_path / "include/a.h").write_text("extern int x;\n")
    return tmp_path


def test_products_of_a_build_and_tests_are_not_sources(source: Path) -> None:
    for name in ("a.ko", "a.o", "a.mod", "a.mod.c", ".a.o.cmd", "Module.symvers", "modules.order"):
        (source / name).write_text("")
    (source / "test").mkdir()
    (source / "test/check.c").write_text("")
    names = [path.name for path in source_files(source)]
    assert names == ["Makefile", "a.c", "a.h"]


def test_a_patch_series_made_of_them_is_no_source_but_other_folders_are(source: Path) -> None:
    (source / "kernel").mkdir()
    (source / "kernel/b.c").write_text("")
    assert [path.name for path in source_files(source)] == ["Makefile", "a.c", "a.h", "b.c"]
    (source / "kernel/series.yaml").write_text("")
    assert [path.name for path in source_files(source)] == ["Makefile", "a.c", "a.h"]


def test_a_folder_without_makefile_is_no_module(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        source_files(tmp_path)


def test_sources_kernel_and_compiler_make_the_key(source: Path) -> None:
    keys = {module_key(source, IMAGE)}
    (source / "include/a.h").write_text("extern int y;\n")
    keys.add(module_key(source, IMAGE))
    newer = {**FACTS.packages, "gcc": "4:13"}
    keys.add(module_key(source, Image(IMAGE.folder, "key", ImageFacts("b", "6.1.0", (), newer))))
    keys.add(module_key(source, Image(IMAGE.folder, "k", ImageFacts("b", "6.2", (), newer))))
    assert len(keys) == 4


def test_only_what_compiles_counts_as_compiler() -> None:
    assert compiler_of(IMAGE) == "gcc 4:12, linux-headers-6.1 6.1.1"


def test_a_failure_shows_the_compilers_message(source: Path) -> None:
    log = "  CC [M]  a.o\na.c:1:1: error: what is this\nmake[1]: *** [a.o] Error 1\nmake: Leaving\n"
    error = ModuleBuildFailed(source, log)
    assert "a.c:1:1: error: what is this" in error.what
    assert "Leaving" not in error.what
    assert error.log == log

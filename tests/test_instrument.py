"""Modules that count: which can be built, and that they are other modules."""

from pathlib import Path

import pytest

from lab.errors import UsageError
from lab.guest.settings import GuestSettings
from lab.image import Image, ImageFacts, Recipe, kernel_named
from lab.modbuild import BuildFacts, BuiltModule, module_key

IMAGE = Image(Path("/image"), "key", ImageFacts("bookworm", "6.1.0", (), {"gcc": "4:12"}))


def test_a_module_that_counts_is_another_build(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("obj-m := a.o\n")
    (tmp_path / "a.c").write_text("int x;\n")
    plain, counts = (module_key(tmp_path, IMAGE, coverage=on) for on in (False, True))
    assert plain != counts
    assert module_key(tmp_path, IMAGE) == plain


def test_notes_tell_whether_a_module_counts(tmp_path: Path) -> None:
    built = BuiltModule(tmp_path, BuildFacts("key", "6.1", "gcc", ("a.ko",), ()))
    assert built.coverage_notes is None
    (tmp_path / "coverage.tar.gz").write_bytes(b"")
    assert built.coverage_notes == tmp_path / "coverage.tar.gz"


@pytest.mark.parametrize("kernel", ["5.10", "6.1-debug"])
def test_kernels_whose_modules_cannot_count_are_refused(kernel: str) -> None:
    recipe = Recipe(kernel_named(kernel))
    with pytest.raises(UsageError):
        GuestSettings(Path("guest_module"), recipe, coverage=True)
    GuestSettings(Path("guest_module"), recipe)


def test_ready_modules_cannot_be_made_to_count() -> None:
    with pytest.raises(UsageError, match="built here"):
        GuestSettings(None, ready=(Path("blksnap.ko"),), coverage=True)

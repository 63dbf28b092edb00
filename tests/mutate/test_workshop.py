"""Where mutants are built, with a toolbox that compiles nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import EnvironmentLack
from lab.image import BuiltKernel, Image, ImageFacts, Toolbox
from lab.image.kernel_build import KernelFacts
from lab.mutate.workshop import Workshop

RELEASE = "6.1.192-kcsan-88b57822"


class Box:
    """Notes the scripts that were run, and with what beside."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ran: list[tuple[str, Path | None]] = []

        def run(_box: Toolbox, _folder: Path, script: str, **given: object) -> str:
            kept = given.get("kept")
            assert kept is None or isinstance(kept, Path)
            self.ran.append((script, kept))
            return ""

        monkeypatch.setattr(Toolbox, "run", run)


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Box:
    return Box(monkeypatch)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "module"
    folder.mkdir()
    (folder / "Makefile").write_text("obj-m := a.o\n")
    return folder


def image_of(release: str) -> Image:
    return Image(Path("/image"), "key", ImageFacts("bookworm", release, (), {}))


def built(folder: Path) -> BuiltKernel:
    return BuiltKernel(folder, KernelFacts("6.1-kcsan", "key", RELEASE, "source", "gcc", 1))


def test_the_toolbox_has_the_headers(box: Box, source: Path, tmp_path: Path) -> None:
    (tmp_path / "root/lib/modules/6.1.0/build").mkdir(parents=True)
    folder = tmp_path / "workshop"
    folder.mkdir()
    Workshop(Toolbox(tmp_path / "root"), image_of("6.1.0"), folder).build(source)
    ((script, _),) = box.ran
    assert "-C /lib/modules/6.1.0/build M=/mnt/tree" in script
    assert "UBSAN" not in script


def test_headers_of_another_kernel_will_not_do(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentLack, match=r"no headers of the guest's kernel, 6.1.0"):
        Workshop(Toolbox(tmp_path), image_of("6.1.0"), tmp_path)


def test_a_kernel_of_the_lab_brings_its_headers(box: Box, source: Path, tmp_path: Path) -> None:
    folder, kernel = tmp_path / "workshop", tmp_path / "kernel"
    folder.mkdir()
    workshop = Workshop(Toolbox(tmp_path / "root"), image_of(RELEASE), folder, built(kernel))
    workshop.build(source)
    workshop.build(source)
    (unpacked, kept), *made = box.ran
    assert kept == kernel
    assert unpacked.startswith("tar -xf /srv/kernel.tar -C /mnt/headers ")
    assert unpacked.endswith(f"./usr/src/linux-headers-{RELEASE}")
    assert len(made) == 2
    where = f"-C /mnt/headers/usr/src/linux-headers-{RELEASE} M=/mnt/tree"
    assert f"{where} UBSAN_SANITIZE=y modules" in made[0][0]


def test_an_image_of_an_earlier_build_will_not_do(box: Box, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentLack, match=r"the image has the kernel 6.1.192-kcsan-00000000"):
        Workshop(
            Toolbox(tmp_path / "root"),
            image_of("6.1.192-kcsan-00000000"),
            tmp_path,
            built(tmp_path / "kernel"),
        )
    assert not box.ran

"""What is taken out of a root archive: kernel, drivers in load order, packages."""

import io
import lzma
import tarfile
from pathlib import Path

import pytest

from lab.image import ImageError, ImageFacts
from lab.image.boot import extract_boot_files, installed_packages, load_order, module_name, unpacked

DEP = """kernel/drivers/virtio/virtio.ko:
kernel/drivers/virtio/virtio_ring.ko: kernel/drivers/virtio/virtio.ko
kernel/drivers/virtio/virtio_pci.ko.xz: kernel/drivers/virtio/virtio_ring.ko \
kernel/drivers/virtio/virtio.ko
kernel/drivers/block/virtio_blk.ko: kernel/drivers/virtio/virtio_ring.ko
"""
STATUS = """Package: gcc
Status: install ok installed
Version: 4:12.2.0-3

Package: gone
Status: deinstall ok config-files
Version: 1
"""


def test_what_a_driver_needs_is_loaded_before_it() -> None:
    order = [module_name(path) for path in load_order(DEP, ["virtio_pci", "virtio_blk", "ext4"])]
    assert order == ["virtio", "virtio_ring", "virtio_pci", "virtio_blk"]


def test_names_of_modules() -> None:
    assert module_name("kernel/drivers/char/hw_random/virtio-rng.ko.xz") == "virtio_rng"
    with pytest.raises(ImageError):
        module_name("kernel/readme.txt")


def test_packed_modules_are_unpacked() -> None:
    assert unpacked("a.ko.xz", lzma.compress(b"code")) == b"code"
    assert unpacked("a.ko", b"code") == b"code"
    with pytest.raises(ImageError):
        unpacked("a.ko.unknown", b"")


def test_only_installed_packages_count() -> None:
    assert installed_packages(STATUS) == {"gcc": "4:12.2.0-3"}


def archive_with(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


FILES = {
    "./boot/vmlinuz-6.1.0-9": b"kernel",
    "./usr/bin/busybox": b"busybox",
    "./usr/lib/modules/6.1.0-9/modules.dep": DEP.replace(".ko.xz", ".ko").encode(),
    "./usr/lib/modules/6.1.0-9/kernel/drivers/virtio/virtio.ko": b"1",
    "./usr/lib/modules/6.1.0-9/kernel/drivers/virtio/virtio_ring.ko": b"2",
    "./usr/lib/modules/6.1.0-9/kernel/drivers/virtio/virtio_pci.ko": b"3",
    "./usr/lib/modules/6.1.0-9/kernel/drivers/block/virtio_blk.ko": b"4",
    "./var/lib/dpkg/status": STATUS.encode(),
}


def test_boot_files_come_out_of_the_archive(tmp_path: Path) -> None:
    tar = archive_with(tmp_path / "root.tar", FILES)
    facts = extract_boot_files(tar, tmp_path, "bookworm")
    facts.save(tmp_path)
    assert facts.kernel_release == "6.1.0-9"
    assert facts.early_modules[-1] == "virtio_blk.ko"
    assert (tmp_path / "vmlinuz").read_bytes() == b"kernel"
    assert (tmp_path / "early/virtio_pci.ko").read_bytes() == b"3"
    assert ImageFacts.load(tmp_path) == facts


@pytest.mark.parametrize("kernels", [[], ["a", "b"]])
def test_an_image_has_one_kernel(tmp_path: Path, kernels: list[str]) -> None:
    files = {name: data for name, data in FILES.items() if "vmlinuz" not in name}
    files |= {f"./boot/vmlinuz-{name}": b"" for name in kernels}
    with pytest.raises(ImageError):
        extract_boot_files(archive_with(tmp_path / "root.tar", files), tmp_path, "bookworm")

"""What a guest boots from, out of its root archive: kernel, busybox, drivers of the root disk.

In Debian's cloud kernels ext4 is built in and virtio is not, so an initramfs loads virtio first.
"""

import json
import lzma
import re
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from lab.errors import LabError

KERNEL_FILE = "vmlinuz"
BUSYBOX_FILE = "busybox"
EARLY_FOLDER = "early"
FACTS_FILE = "image.json"
# Loaded by the initramfs, with all they depend on.
EARLY_MODULES = ("virtio_pci", "virtio_blk", "ext4")

_KERNEL = re.compile(r"\./boot/vmlinuz-(?P<release>[^/]+)")
_MODULE = re.compile(r"(?P<name>[^/]+)\.ko(\.(?P<packed>xz|zst|gz))?")


class ImageError(LabError):
    """The root file system that was built cannot be booted."""


@dataclass(frozen=True)
class ImageFacts:
    """What is known of an image: kernel release, drivers in load order, versions of packages."""

    suite: str
    kernel_release: str
    early_modules: tuple[str, ...]
    packages: dict[str, str]

    @property
    def compiler(self) -> str:
        """The package of the compiler with its version, e.g. "gcc-12 12.2.0-14"."""
        return versions_of(self.packages, r"gcc-\d+")

    def save(self, folder: Path) -> None:
        """Keep the facts beside the image."""
        text = json.dumps(asdict(self), indent=1)
        (folder / FACTS_FILE).write_text(text, encoding="utf-8")

    @staticmethod
    def load(folder: Path) -> "ImageFacts":
        """The facts that were kept beside an image."""
        fields = json.loads((folder / FACTS_FILE).read_text(encoding="utf-8"))
        return ImageFacts(**{**fields, "early_modules": tuple(fields["early_modules"])})


def extract_boot_files(root_tar: Path, folder: Path, suite: str) -> ImageFacts:
    """Put kernel, busybox and early modules of a root archive into a folder, with the facts."""
    with tarfile.open(root_tar) as archive:
        members = {member.name: member for member in archive if member.isfile()}

        def content(name: str) -> bytes:
            file = archive.extractfile(members[name])
            assert file is not None  # only regular files are in the table
            return file.read()

        kernel, release = _one_kernel(members)
        (folder / KERNEL_FILE).write_bytes(content(kernel))
        (folder / BUSYBOX_FILE).write_bytes(content(_one(members, "bin/busybox")))
        base = _one(members, f"lib/modules/{release}/modules.dep").removesuffix("modules.dep")
        order = load_order(content(f"{base}modules.dep").decode(), EARLY_MODULES)
        (folder / EARLY_FOLDER).mkdir()
        for path in order:
            name = f"{module_name(path)}.ko"
            (folder / EARLY_FOLDER / name).write_bytes(unpacked(path, content(base + path)))
        status = content("./var/lib/dpkg/status").decode(errors="replace")
    modules = tuple(f"{module_name(path)}.ko" for path in order)
    return ImageFacts(suite, release, modules, installed_packages(status))


def load_order(modules_dep: str, wanted: Iterable[str]) -> list[str]:
    """Paths of modules in the order to load them; those that are built in are not in the list."""
    needs: dict[str, list[str]] = {}
    paths: dict[str, str] = {}
    for line in modules_dep.splitlines():
        path, _, rest = line.partition(":")
        needs[path] = rest.split()
        paths[module_name(path)] = path
    order: list[str] = []

    def add(path: str) -> None:
        if path not in order:
            for other in needs[path]:
                add(other)
            order.append(path)

    for name in wanted:
        if name in paths:
            add(paths[name])
    return order


def module_name(path: str) -> str:
    """The kernel's name of a module file: virtio_blk of kernel/drivers/block/virtio-blk.ko.xz."""
    match = _MODULE.fullmatch(PurePosixPath(path).name)
    if match is None:
        raise ImageError(f"{path} is not the file of a kernel module")
    return match["name"].replace("-", "_")


def unpacked(path: str, content: bytes) -> bytes:
    """A module as the kernel takes it; Debian packs them with xz from 6.12 (trixie) on."""
    if path.endswith(".ko"):
        return content
    if path.endswith(".xz"):
        return lzma.decompress(content)
    raise ImageError(f"{path} is packed in a way that the lab does not know")


def installed_packages(status: str) -> dict[str, str]:
    """Versions of the installed packages, from the text of dpkg's status file."""
    versions: dict[str, str] = {}
    for paragraph in status.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Status|Version): (.*)$", paragraph, re.MULTILINE))
        if fields.get("Status", "").endswith(" installed"):
            versions[fields["Package"]] = fields["Version"]
    return versions


def versions_of(packages: Mapping[str, str], names: str) -> str:
    """Packages whose names fit a regular expression, each with its version: "make 4.3-4.1"."""
    found = sorted(name for name in packages if re.fullmatch(names, name))
    return ", ".join(f"{name} {packages[name]}" for name in found)


def _one_kernel(names: Iterable[str]) -> tuple[str, str]:
    kernels = [match for name in names if (match := _KERNEL.fullmatch(name))]
    if len(kernels) != 1:
        found = ", ".join(match["release"] for match in kernels) or "none"
        raise ImageError(f"the image should have one kernel; it has {found}")
    return kernels[0].group(), kernels[0]["release"]


def _one(names: Iterable[str], end: str) -> str:
    found = [name for name in names if name.endswith(f"/{end}")]
    if len(found) != 1:
        raise ImageError(f"the image should have one file {end}; it has {found or 'none'}")
    return found[0]

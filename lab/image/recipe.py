"""What a guest image is made of. The digest of a recipe is the image's key in the cache."""

from dataclasses import dataclass, field

from lab.cache import digest_of
from lab.image.kconfig import read_fragment
from lab.image.kernels import DEFAULT_KERNEL, Kernel, kernel_named
from lab.image.patches import kernel_patches
from lab.units import GIB

KERNEL = ("linux-image-cloud-amd64", "linux-headers-cloud-amd64")
BUILD = ("ccache", "gcc", "make", "libc6-dev")
TOOLS = (
    "btrfs-progs",
    "busybox-static",
    "dmsetup",
    "dosfstools",
    "e2fsprogs",
    "f2fs-tools",
    "fdisk",
    "fio",
    "iproute2",
    "kmod",
    "lvm2",
    "mdadm",
    "mount",
    "openssh-server",
    "procps",
    "python3",
    "util-linux",
    "xfsprogs",
)
# Never read in a guest; a fifth of the files.
TEXTS = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
# Of the root's file system, bytes.
ROOT_SIZE = 6 * GIB
# Raised when the way of building changes, so that images built the old way are not used.
FORMAT = 1


@dataclass(frozen=True)
class Recipe:
    """A kernel with its suite, packages, and files left out."""

    kernel: Kernel = field(default_factory=lambda: kernel_named(DEFAULT_KERNEL))
    packages: tuple[str, ...] = field(default=KERNEL + BUILD + TOOLS)
    excluded: tuple[str, ...] = TEXTS

    @property
    def suite(self) -> str:
        """The suite that all but perhaps the kernel comes from."""
        return self.kernel.suite

    @property
    def include(self) -> tuple[str, ...]:
        """The packages as the package manager takes them: name, or name/suite."""
        suffix = f"/{self.kernel.archive}" if self.kernel.archive else ""
        # A kernel that the lab builds is no package.
        packages = () if self.kernel.source else self.packages
        kernel = (f"{name}{suffix}" for name in packages if name in KERNEL)
        others = (name for name in self.packages if name not in KERNEL)
        return (*kernel, *self.kernel.packages, *others)

    @property
    def key(self) -> str:
        """Digest of everything that decides what the image holds."""
        parts = (str(FORMAT), self.suite, str(ROOT_SIZE), *self.include, "-", *self.excluded)
        texts = [read_fragment(name).text for name in self.kernel.fragments]
        texts += [patch.text for patch in kernel_patches(self.kernel)]
        return f"{self.suite}-{digest_of(*parts, *texts)}"

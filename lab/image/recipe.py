"""What a guest image is made of. The digest of a recipe is the image's key in the cache."""

from dataclasses import dataclass, field

from lab.cache import digest_of
from lab.errors import UsageError
from lab.units import GIB

# Suites whose kernels are in the lab's matrix, with the names of the kernel series.
SUITES = {"bullseye": "5.10", "bookworm": "6.1", "trixie": "6.12", "sid": "7.x"}
DEFAULT_SUITE = "bookworm"

KERNEL = ("linux-image-cloud-amd64", "linux-headers-cloud-amd64")
BUILD = ("ccache", "gcc", "make", "libc6-dev")
TOOLS = (
    "btrfs-progs",
    "busybox-static",
    "dmsetup",
    "dosfstools",
    "e2fsprogs",
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
EXCLUDED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
# Raised when the way of building changes, so that images built the old way are not used.
FORMAT = 1


@dataclass(frozen=True)
class Recipe:
    """A Debian suite, packages, files left out, and the size of the root file system in bytes."""

    suite: str = DEFAULT_SUITE
    packages: tuple[str, ...] = field(default=KERNEL + BUILD + TOOLS)
    excluded: tuple[str, ...] = EXCLUDED
    size: int = 6 * GIB

    def __post_init__(self) -> None:
        if self.suite not in SUITES:
            raise UsageError(f"unknown suite {self.suite!r}", f"one of: {', '.join(SUITES)}")

    @property
    def key(self) -> str:
        """Digest of everything that decides what the image holds."""
        parts = (str(FORMAT), self.suite, str(self.size), *self.packages, "-", *self.excluded)
        return f"{self.suite}-{digest_of(*parts)}"

"""The kernels of the matrix, each with the Debian suite of its guest and its compiler."""

from collections.abc import Sequence
from dataclasses import dataclass

from lab.errors import UsageError

ALL = "all"


@dataclass(frozen=True)
class Kernel:
    """A kernel series by the name that users say, and its suite.

    archive: the suite that kernel and headers come from; empty if that does not matter. packages:
    what building modules needs beyond what it needs everywhere.
    """

    name: str
    suite: str
    archive: str = ""
    packages: tuple[str, ...] = ()


KERNELS = (
    # Its security archive still lists kernels whose packages are gone.
    Kernel("5.10", "bullseye", archive="bullseye"),
    Kernel("6.1", "bookworm"),
    # Its check of comments (W=1) is a Perl program that uses more than perl-base has.
    Kernel("6.12", "trixie", packages=("perl",)),
    # Backports follow the newest release closely, often before unstable has it.
    Kernel("7.x", "trixie", archive="trixie-backports"),
)
DEFAULT_KERNEL = "6.1"


def kernel_named(name: str) -> Kernel:
    """The kernel of a name. Raises UsageError if there is none."""
    for kernel in KERNELS:
        if kernel.name == name:
            return kernel
    known = ", ".join(kernel.name for kernel in KERNELS)
    raise UsageError(f"there is no kernel {name!r} in the matrix", f"one of: {known}")


def kernel_names(wanted: Sequence[str]) -> tuple[str, ...]:
    """Names as a user gives them, each once: "all" is every kernel, none is the default one."""
    if ALL in wanted:
        return tuple(kernel.name for kernel in KERNELS)
    return tuple(kernel_named(name).name for name in dict.fromkeys(wanted)) or (DEFAULT_KERNEL,)

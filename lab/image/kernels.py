"""The kernels that guests may have, by name, each with the Debian suite of its guest and compiler.

Those of the matrix are Debian's, as they are. The others are built by the lab from Debian's
sources, with a configuration of the lab (see lab.image.kernel_build): `6.1-debug` is the
configuration `debug` of 6.1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lab.errors import UsageError
from lab.units import MIB

ALL = "all"


@dataclass(frozen=True)
class Kernel:
    """A kernel by the name that users say, and its suite.

    archive: the suite that kernel and headers come from; empty if that does not matter. packages:
    what building modules needs beyond what it needs everywhere. source, fragments: the package
    with its source, and the parts of its configuration, of a kernel that the lab builds. series:
    the release whose patch series (guest_module/kernel) goes over the source; empty if none does.
    more_memory: bytes that its guests need beyond what guests of other kernels have. most_cpus:
    processors that a guest can have, as QEMU (of its machine "pc") and the kernel let it. slowness:
    how many times as long things take in its guests.
    """

    name: str
    suite: str
    archive: str = ""
    packages: tuple[str, ...] = ()
    source: str = ""
    fragments: tuple[str, ...] = ()
    series: str = ""
    more_memory: int = 0
    most_cpus: int = 255
    slowness: float = 1.0

    @property
    def is_debug(self) -> bool:
        """Whether it looks for mistakes that a normal kernel does not notice."""
        return "debug" in self.fragments

    @property
    def finds_races(self) -> bool:
        """Whether it has KCSAN."""
        return "kcsan" in self.fragments

    @property
    def has_filters(self) -> bool:
        """Whether it has filters of block devices itself, so that nothing need hook it."""
        return bool(self.series)

    @property
    def has_module_built_in(self) -> bool:
        """Whether the module is a part of it, so that no other can be loaded."""
        return "builtin" in self.fragments


KERNELS = (
    # Its security archive still lists kernels whose packages are gone.
    Kernel("5.10", "bullseye", archive="bullseye"),
    Kernel("6.1", "bookworm"),
    # Its check of comments (W=1) is a Perl program that uses more than perl-base has.
    Kernel("6.12", "trixie", packages=("perl",)),
    # Backports follow the newest release closely, often before unstable has it.
    Kernel("7.x", "trixie", archive="trixie-backports"),
)
"""The matrix: kernels of the distribution."""

# Shadow bytes, freed memory that is held back, records of locks and of allocations.
_MORE_MEMORY, _SLOWNESS = 512 * MIB, 3.0
# Releases that the lab builds, and that the module is kept for as a patch series.
_RELEASES = ("6.1", "6.12")
BUILT_KERNELS = tuple(
    Kernel(
        f"{base.name}-{config}",
        base.suite,
        packages=base.packages,
        source=f"linux-source-{base.name}",
        fragments=("base", *fragments),
        series=base.name if "patched" in fragments else "",
        most_cpus=16,  # CONFIG_NR_CPUS
        more_memory=_MORE_MEMORY if "debug" in fragments else 0,
        slowness=_SLOWNESS if "debug" in fragments else 1.0,
    )
    for base in KERNELS
    if base.name in _RELEASES
    for config, fragments in (
        ("small", ()),
        ("debug", ("debug", "kasan")),
        ("kcsan", ("debug", "kcsan")),
        ("patched", ("patched",)),
        ("patched-debug", ("patched", "debug", "kasan")),
        ("builtin", ("patched", "builtin")),
    )
)
"""Kernels that the lab builds."""
DEFAULT_KERNEL = "6.1"


def kernel_named(name: str) -> Kernel:
    """The kernel of a name. Raises UsageError if there is none."""
    known = KERNELS + BUILT_KERNELS
    for kernel in known:
        if kernel.name == name:
            return kernel
    names = ", ".join(kernel.name for kernel in known)
    raise UsageError(f"there is no kernel {name!r} in the matrix", f"one of: {names}")


def kernel_names(wanted: Sequence[str]) -> tuple[str, ...]:
    """Names as a user gives them, each once: "all" is the whole matrix, none is the default one."""
    found = [
        kernel.name
        for name in wanted
        for kernel in (KERNELS if name == ALL else [kernel_named(name)])
    ]
    return tuple(dict.fromkeys(found)) or (DEFAULT_KERNEL,)

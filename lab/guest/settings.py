"""What a user may choose of a guest, and where the parts that go into it come from."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from lab import instrument
from lab.accel import AccelChoice
from lab.errors import UsageError
from lab.flavour import Flavour
from lab.guest.command import ADDRESS_END, ADDRESS_SLOTS
from lab.guest.disks import DEFAULT_SLOTS, BlockSizes
from lab.host import LEAST_GUEST, total_memory
from lab.image import Recipe
from lab.units import GIB, MIB, format_size


@dataclass(frozen=True)
class GuestSettings:
    """The guest of a run; memory in bytes, beside what its kernel needs more than others.

    `module`: folder of the kernel module's sources, None for a guest without it. `slots`: the
    disks that a clone can have without hot-plug. `icount`: the guest's time is the number of its
    instructions, see MachineSpec. `ready`: modules that are built already (*.ko), instead of
    sources. `coverage`: the module counts its branches. `flavour`: the names of the module.
    """

    module: Path | None
    recipe: Recipe = field(default_factory=Recipe)
    memory: int = GIB
    cpus: int = 2
    slots: tuple[BlockSizes, ...] = DEFAULT_SLOTS
    accel: AccelChoice = AccelChoice.AUTO
    icount: bool = False
    ready: tuple[Path, ...] = ()
    coverage: bool = False
    flavour: Flavour = field(default_factory=Flavour)

    @property
    def machine_memory(self) -> int:
        """Bytes that its machine has."""
        return self.memory + self.recipe.kernel.more_memory

    def counting(self) -> "GuestSettings":
        """The same guest, but for one emulated processor whose time is its instructions."""
        return replace(self, cpus=1, accel=AccelChoice.TCG, icount=True)

    def __post_init__(self) -> None:
        if self.memory < LEAST_GUEST or self.memory % MIB:
            raise UsageError(
                f"a guest cannot have {self.memory} bytes of memory",
                f"whole MiB, {LEAST_GUEST // MIB} or more",
            )
        if self.machine_memory > total_memory():
            raise UsageError(
                f"a guest cannot have {format_size(self.machine_memory)} of memory: this machine"
                f" has {total_memory() // MIB}MiB",
                "less, by --memory or the key `memory`",
            )
        most = self.recipe.kernel.most_cpus
        if not 1 <= self.cpus <= most:
            raise UsageError(f"a guest cannot have {self.cpus} processors", f"--cpus 1 to {most}")
        if self.icount and (self.cpus != 1 or self.accel is not AccelChoice.TCG):
            raise UsageError(
                "instructions are counted in a guest with one processor, under emulation",
                "--cpus 1 --accel tcg",
            )
        if self.coverage:
            instrument.refuse(self.recipe.kernel)
        if self.coverage and self.module is None:
            raise UsageError(
                "only a module that is built here can count", "--module instead of --ko"
            )
        if len(self.slots) > ADDRESS_END - ADDRESS_SLOTS:
            raise UsageError(
                f"a guest cannot have {len(self.slots)} disk slots",
                f"0 to {ADDRESS_END - ADDRESS_SLOTS}",
            )

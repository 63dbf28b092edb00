"""A scenario: what it proves, what it runs on, and its steps."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PrivateAttr

from lab.scenario.devices import Device, Disk, ModuleParameters, Requires
from lab.scenario.step import Step
from lab.scenario.values import DiskName, GuestMemory, Model, Name, Seconds
from lab.scenario.variant import has_variants
from lab.scenario.yaml_tree import parse

Rule = Annotated[str, Field(pattern=r"^K([1-9]|[12][0-9]|3[0-7])$")]
"""A rule of the module's contract, K1..K37."""

Trap = Annotated[str, Field(pattern=r"^(W-(0[1-9]|[1-3][0-9]|4[01])|[a-z][a-z-]*#[0-9]+)$")]
"""A trap of v0 (W-01..W-41) or an issue of a public project (blksnap#46)."""


class FailEach(Model):
    """Run the scenario once for each I/O to some disks, in which exactly that one fails with EIO.

    The first run, without a failure, is strict and tells which I/Os there are. In the others a step
    may fail as the I/O that it needs has failed, and an image may be spoiled by it, with an event;
    it is never wrong, and originals are never wrong.
    """

    disks: tuple[Name, ...] = Field(min_length=1, description="Whose I/Os.")
    limit: int = Field(40, ge=1, le=10_000, description="Most I/Os; drawn if there are more.")
    seed: int = Field(1, description="Another seed, others are drawn.")
    least: int = Field(1, ge=1, description="Fewest I/Os that there must be.")


class Scenario(Model):
    """A scenario of the lab: data, no expressions, no loops but `repeat`."""

    summary: str = Field(min_length=10, max_length=200, description="What it does, in a line.")
    proves: tuple[Rule, ...] = Field((), description="Rules of the contract, e.g. [K18, K19].")
    regression_for: tuple[Trap, ...] = Field(
        (), description="Traps and issues it guards against, e.g. [W-05, blksnap#46]."
    )
    requires: Requires = Field(
        Requires.model_validate({}), description="What must be there, else it is skipped."
    )
    default: bool = Field(
        True, description="Run it also when nobody asks for it, or for its group, by name."
    )
    timeout: Seconds = Field(300.0, description="Limit of the whole scenario.")
    step_timeout: Seconds = Field(120.0, description="Limit of a step that names none.")
    module: ModuleParameters = Field({}, description="Parameters the module is loaded with.")
    memory: GuestMemory | None = Field(
        None,
        description="Memory of the guest, whole MiB, 256MiB or more; that of --memory if left out.",
    )
    fail_each: FailEach | None = Field(
        None, description="Run it once for each I/O, which fails in that run."
    )
    icount: bool = Field(
        False,
        description="One processor, emulated, whose time is the number of its instructions: the "
        "same figures in every run.",
    )
    disks: dict[DiskName, Disk] = Field({}, description="Disks of the guest.")
    devices: dict[Name, Device] = Field({}, description="Devices built on them, in this order.")
    steps: tuple[Step, ...] = Field(min_length=1, description="What is done, in this order.")

    _name: str = PrivateAttr("")
    _source: str = PrivateAttr("")

    @property
    def name(self) -> str:
        """Its path relative to scenarios/, without ".yaml", e.g. "overflow/exhausted"."""
        return self._name

    @property
    def group(self) -> str:
        """The folder it is in, e.g. "overflow"."""
        return self._name.rpartition("/")[0]

    @property
    def source(self) -> str:
        """The YAML text it was read from."""
        return self._source

    @property
    def has_long(self) -> bool:
        """Whether some of its values have a long one, {usual: ..., long: ...}."""
        return has_variants(parse(self._source, self._name).data)

    def named(self, name: str, source: str) -> Scenario:
        """The same scenario with its name and the text it was read from."""
        named = self.model_copy()
        named._name = name
        named._source = source
        return named

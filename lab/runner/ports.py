"""What the runner needs of a guest, as protocols: `lab.guest` fits them, and the tests' fakes.

Sizes and offsets are bytes. All waits have limits in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from lab.flavour import Flavour
from lab.guest.disks import DiskSpec, Limits
from lab.modbuild import BuiltModule
from lab.modready import ReadyModule
from lab.progress import ProgressSink


class Channel(Protocol):
    """The agent's end of the line: one request, one answer; may be used by several threads."""

    def request(self, op: str, args: Mapping[str, object], timeout: float) -> dict[str, Any]:
        """The result of `op`. Raises AgentFailure, ChannelTimeout or GuestLost."""


class Disk(Protocol):
    """A disk that the guest was given."""

    @property
    def name(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def host_file(self) -> Path: ...
    @property
    def log(self) -> Path | None: ...
    @property
    def base(self) -> Path | None: ...


class Machine(Protocol):
    """The virtual machine below the guest."""

    @property
    def state(self) -> object: ...
    @property
    def console_path(self) -> Path: ...
    @property
    def command_line(self) -> Sequence[str]: ...
    def describe(self) -> str: ...
    def wait_exit(self, timeout: float) -> bool: ...


class Guest(Protocol):
    """A running clone. After boot() machine and channel are others."""

    @property
    def channel(self) -> Channel: ...
    @property
    def machine(self) -> Machine: ...
    @property
    def disks(self) -> Mapping[str, Disk]: ...
    @property
    def module_dir(self) -> str | None: ...
    @property
    def image(self) -> str: ...
    @property
    def module_source(self) -> Path | None: ...
    @property
    def flavour(self) -> Flavour: ...
    def resize_disk(self, name: str, size: int) -> Disk: ...
    def throttle(self, name: str, limits: Limits) -> None: ...
    def unplug(self, name: str) -> None: ...
    def plug(self, disk: str) -> Disk: ...
    def power_cut(self) -> None: ...
    def boot(self) -> None: ...
    def boot_saved(self) -> None: ...
    def reboot(self, within: float) -> object: ...


class Template(Protocol):
    """What clones are made from; its identity is a dataclass that says of what it was made."""

    @property
    def identity(self) -> Any: ...
    @property
    def module(self) -> BuiltModule | ReadyModule | None: ...

    def clone(
        self, disks: Sequence[DiskSpec], folder: Path, *, keepable: bool
    ) -> AbstractContextManager[Guest]: ...
    def keep(self, guest: Any, folder: Path) -> None: ...


class Prepare(Protocol):
    """Makes the template of a kernel, telling how far it is."""

    def __call__(
        self, progress: ProgressSink, kernel: str, memory: int | None, /, *, icount: bool = ...
    ) -> Template:
        """memory: bytes, None: the usual. icount: see GuestSettings; given only if it is true."""


def facts(template: Template) -> dict[str, str]:
    """What a template was made of: kernel, module, QEMU ..., by name."""
    return {key: str(value) for key, value in asdict(template.identity).items()}


def debug_folder(template: Template) -> Path | None:
    """Where the template's modules are with their debugging information, if it has any."""
    return None if template.module is None else template.module.debug_folder

"""What the runner needs of a guest, as protocols: `lab.guest` fits them, and the tests' fakes.

Sizes and offsets are bytes. All waits have limits in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from lab.guest.disks import DiskSpec
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
    def resize_disk(self, name: str, size: int) -> Disk: ...
    def unplug(self, name: str) -> None: ...
    def plug(self, disk: str) -> Disk: ...
    def power_cut(self) -> None: ...
    def boot(self) -> None: ...
    def reboot(self, within: float) -> object: ...


class Template(Protocol):
    """What clones are made from; its identity is a dataclass that says of what it was made."""

    @property
    def identity(self) -> Any: ...

    def clone(self, disks: Sequence[DiskSpec], folder: Path) -> AbstractContextManager[Guest]: ...


Prepare = Callable[[ProgressSink, str, int | None], Template]
"""Makes the template of a kernel, telling how far it is; memory in bytes, None: the usual."""


def facts(template: Template) -> dict[str, str]:
    """What a template was made of: kernel, module, QEMU ..., by name."""
    return {key: str(value) for key, value in asdict(template.identity).items()}

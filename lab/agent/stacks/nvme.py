"""An NVMe disk over TCP: host and target are both the guest's kernel.

Sources: the kernel's drivers/nvme/target/configfs.c, drivers/nvme/host/fabrics.c.
"""

from __future__ import annotations

import itertools
import os
from contextlib import ExitStack
from pathlib import Path

from lab.agent.block.device import opened
from lab.agent.processes import need
from lab.agent.stacks.base import CONFIGFS, Stack, mount_configfs, stack_kind, wait_node

_TARGET = CONFIGFS / "nvmet"
_FIRST_PORT = 4420
_ANSWER = 128


@stack_kind("nvme_tcp")
class NvmeTcp(Stack):
    """The device `on` as the one path of an NVMe disk, in the sense of NVMe's own multipath.

    So the disk is of bios, which it splits itself, and submits anew when the path has failed.
    """

    def __init__(self, name: str, on: str) -> None:
        super().__init__(name)
        self._on = on
        self._made = ExitStack()

    def create(self) -> None:
        need(["modprobe", "--all", "nvmet-tcp", "nvme-tcp"])
        mount_configfs()
        with ExitStack() as made:
            name = _connect(self._export(made))
            controller = Path("/sys/class/nvme", name)
            made.callback(_set, controller / "delete_controller", 1)
            # There is a disk for the path, hidden, only with multipath.
            wait_node(f"{controller}/{name}c{name[len('nvme') :]}n1")
            self.path = f"/dev/{name}n1"
            wait_node(self.path)
            self._made = made.pop_all()

    def remove(self) -> None:
        with opened(self.path, os.O_RDWR | os.O_EXCL):
            pass  # EBUSY while it is in use; the controller would go all the same.
        self._made.close()

    def _export(self, made: ExitStack) -> dict[str, object]:
        """Make the target; how to connect to it."""
        subsystem = _TARGET / "subsystems" / f"lab-{self.name}"
        _folder(made, subsystem, attr_allow_any_host=1)
        _folder(made, subsystem / "namespaces/1", device_path=self._on, enable=1)
        ports = (_TARGET / "ports" / str(number) for number in itertools.count(_FIRST_PORT))
        port = next(port for port in ports if not port.exists())
        _folder(made, port, addr_trtype="tcp", addr_adrfam="ipv4")
        address = {"traddr": "127.0.0.1", "trsvcid": port.name}
        for name, value in address.items():
            _set(port / f"addr_{name}", value)
        link = port / "subsystems" / subsystem.name
        link.symlink_to(subsystem)
        made.callback(link.unlink)
        return {"transport": "tcp", "nqn": subsystem.name, "reconnect_delay": 1, **address}


def _set(file: Path, value: object) -> None:
    file.write_text(str(value), encoding="ascii")


def _folder(made: ExitStack, path: Path, **settings: object) -> None:
    """A folder of the target, some of its files written in that order."""
    path.mkdir()
    made.callback(path.rmdir)
    for name, value in settings.items():
        _set(path / name, value)


def _connect(options: dict[str, object]) -> str:
    """Make a controller; its name."""
    with opened("/dev/nvme-fabrics", os.O_RDWR) as fd:
        os.write(fd, ",".join(f"{name}={value}" for name, value in options.items()).encode())
        instance = os.read(fd, _ANSWER).decode().partition(",")[0]
    return instance.replace("instance=", "nvme")

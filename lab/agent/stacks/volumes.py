"""LVM and md: volumes over several devices."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from lab.agent.processes import need
from lab.agent.stacks.base import Stack, stack_kind, undone, wait_node
from lab.errors import UsageError

_KIB = 1024
# Without udev: make nodes directly, look at devices directly, wait for nobody.
_LVM_CONFIG = (
    "devices { obtain_device_list_from_udev=0 } "
    "activation { udev_sync=0 udev_rules=0 verify_udev_operations=0 } "
    "global { use_lvmpolld=0 }"
)
_MD_NUMBERS = range(100, 128)


def _lvm(*words: str) -> None:
    command, *rest = words
    need([command, "--config", _LVM_CONFIG, *rest])


@stack_kind("lvm")
class Lvm(Stack):
    """A logical volume of `size` bytes striped over the devices `over`, in a group of its own."""

    def __init__(self, name: str, over: list[str], size: int, stripe: int = 65536) -> None:
        super().__init__(name)
        self._over, self._size, self._stripe = over, size, stripe
        self._group = f"lab_{name}"

    def create(self) -> None:
        with undone(self.remove):
            _lvm("pvcreate", "--quiet", "--yes", "--force", *self._over)
            _lvm("vgcreate", "--quiet", self._group, *self._over)
            spread = ["--stripes", str(len(self._over)), "--stripesize", f"{self._stripe // _KIB}k"]
            size = ["--size", f"{self._size}b", "--name", "volume"]
            _lvm(
                "lvcreate", "--quiet", "--yes", "--wipesignatures", "n", *spread, *size, self._group
            )
        self.path = f"/dev/{self._group}/volume"
        wait_node(self.path)

    def remove(self) -> None:
        _lvm("vgremove", "--quiet", "--yes", "--force", self._group)
        _lvm("pvremove", "--quiet", "--yes", "--force", *self._over)


@stack_kind("raid")
class Raid(Stack):
    """An md array over the devices `over`, assumed in sync: they must be alike, e.g. zeros."""

    def __init__(
        self,
        name: str,
        over: list[str],
        level: Literal["raid0", "raid1", "raid5"],
        chunk: int = 65536,
    ) -> None:
        super().__init__(name)
        if len(over) < (3 if level == "raid5" else 2):
            raise UsageError(f"raid: {level} over {len(over)} devices")
        self._over, self._level, self._chunk = over, level, chunk

    def create(self) -> None:
        free = (n for n in _MD_NUMBERS if not Path(f"/sys/block/md{n}").exists())
        self.path = f"/dev/md{next(free)}"
        chunk = [] if self._level == "raid1" else ["--chunk", str(self._chunk // _KIB)]
        clean = [] if self._level == "raid0" else ["--assume-clean", "--bitmap=none"]
        members = ["--raid-devices", str(len(self._over)), *self._over]
        words = ["--run", "--force", "--level", self._level, *chunk, *clean, *members]
        need(["mdadm", "--create", self.path, *words])
        wait_node(self.path)

    def remove(self) -> None:
        need(["mdadm", "--stop", self.path])
        need(["mdadm", "--zero-superblock", *self._over])

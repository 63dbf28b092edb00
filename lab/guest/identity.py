"""What a template was made from; a template of anything else is refused.

The saved device state of a guest fits only the same QEMU with the same devices, and its memory
holds kernel, module and agent.
"""

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.cache import digest_of
from lab.errors import LabError
from lab.guest.command import QEMU
from lab.process import run
from lab.programs import find_program

VERSION_LIMIT = 30.0
FILE = "identity.json"
# Raised when templates of older versions of this program must not be used.
FORMAT = 1


class StaleTemplate(LabError):  # noqa: N818 - it says what the template is
    """A saved template was made from other things than are wanted now."""


@dataclass(frozen=True)
class Identity:
    """Everything that decides what is in a template; digests are hexadecimal.

    `command_line` is the digest of QEMU's: memory, processors, devices and kernel options.
    """

    qemu: str
    accel: str
    image: str
    kernel_release: str
    initramfs: str
    module: str
    agent: str
    command_line: str
    format: int = FORMAT

    @property
    def key(self) -> str:
        """The key of the template in the cache."""
        fields = json.dumps(asdict(self), sort_keys=True)
        return f"{self.kernel_release}-{digest_of(fields)}"

    def save(self, folder: Path) -> None:
        """Write it into a template's folder."""
        text = json.dumps(asdict(self), indent=1, sort_keys=True)
        (folder / FILE).write_text(text, encoding="utf-8")

    def check(self, folder: Path) -> None:
        """StaleTemplate, naming what differs, unless a folder holds a template of this identity."""
        try:
            found = json.loads((folder / FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise StaleTemplate(f"{folder} does not say what it was made from ({error})") from error
        differing = differences(asdict(self), found if isinstance(found, dict) else {})
        if differing:
            raise StaleTemplate(f"{folder} was made from another {', '.join(differing)}")


def differences(wanted: Mapping[str, object], found: Mapping[str, object]) -> list[str]:
    """Names of the fields in which two identities differ."""
    return sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))


def qemu_identity() -> str:
    """Version of QEMU, and inode, size and time of its program: an upgrade changes them."""
    info = Path(find_program(QEMU)).resolve().stat()
    return f"{_version()}; {info.st_ino} {info.st_size} {info.st_mtime_ns}"


def misses_patches() -> bool:
    """Whether this QEMU, emulating each processor in a thread of its own, may run stale code.

    Before 8.1 it can keep its translation of an instruction that another processor replaced while
    it was being translated. A guest that patches a busy function (which is what loading and
    unloading a filter does) then hangs, all processors at that instruction. 8.1 locks the page.
    """
    return qemu_release(_version()) < (8, 1)


def qemu_release(version: str) -> tuple[int, int]:
    """Major and minor number in what QEMU calls its version; (0, 0) if it has none."""
    found = re.search(r"version (\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _version() -> str:
    path = Path(find_program(QEMU)).resolve()
    return _version_of(str(path), path.stat().st_mtime_ns)


@functools.cache
def _version_of(path: str, _mtime: int) -> str:
    return run([path, "--version"], timeout=VERSION_LIMIT).splitlines()[0]

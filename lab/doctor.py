"""What this machine has and lacks for the lab, all at once, with the command that mends it."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from lab.cache import Cache, Holding, holdings
from lab.errors import EnvironmentLack
from lab.guest.command import QEMU
from lab.guest.identity import misses_patches
from lab.host import available_memory, processors
from lab.image.namespace import require_namespaces
from lab.programs import Need, host_programs, install_command, path_of
from lab.units import GIB, MIB

# Image, template, built modules: about 1 GiB for each kernel; toolboxes 2, clones less than 1.
FREE_DISK = 8 * GIB
# One guest has 1 GiB; a clone shares what it does not write.
FREE_MEMORY = 3 * GIB


class Health(StrEnum):
    """How much a finding matters."""

    OK = "ok"
    NOTE = "note"
    LACK = "lack"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `remedy` is the command or act that mends it."""

    subject: str
    health: Health
    detail: str
    remedy: str | None = None


def examine(cache: Path) -> Iterator[Finding]:
    """Look at everything the lab needs of this machine; `cache` is the folder for big things."""
    yield _python()
    yield _processor()
    yield from _programs()
    yield from _emulator()
    yield _memory()
    yield _disk(cache)
    yield from _holdings(cache)
    yield _rights()


def _python() -> Finding:
    # Only told: with an older Python the package does not install, and this would not run.
    return Finding("python", Health.OK, f"{platform.python_version()} at {sys.executable}")


def _processor() -> Finding:
    machine = platform.machine()
    if machine == "x86_64":
        return Finding("processor", Health.OK, f"{machine}, {processors()} processors")
    return Finding("processor", Health.LACK, machine, "guests are x86_64 so far; use such a host")


def _programs() -> Iterator[Finding]:
    for program in host_programs():
        path = path_of(program.name)
        if path is not None:
            yield Finding(program.name, Health.OK, path)
        else:
            health = Health.LACK if program.need is Need.RUNS else Health.NOTE
            remedy = f"as root: {install_command(program.package)}"
            yield Finding(program.name, health, f"not here; for {program.purpose}", remedy)


def _emulator() -> Iterator[Finding]:
    if path_of(QEMU) is not None and misses_patches():
        detail = "older than 8.1: emulates a guest in one thread, where few races show"
        yield Finding("emulation", Health.NOTE, detail, _newer_emulator())


def _newer_emulator() -> str:
    """What gives this machine a QEMU that is not too old."""
    if _distribution() != "bookworm":
        return "install QEMU 8.1 or newer"
    remedy = "as root: apt-get install -y -t bookworm-backports qemu-system-x86 qemu-utils"
    return f"{remedy} (with that suite in sources)"


def _distribution() -> str:
    """The code name of this machine's system, e.g. "bookworm"; empty if it tells none."""
    try:
        return platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    except OSError:
        return ""


def _memory() -> Finding:
    available = available_memory()
    detail = f"{available // MIB} MiB available"
    if available >= FREE_MEMORY:
        return Finding("memory", Health.OK, detail)
    return Finding("memory", Health.LACK, detail, f"free {FREE_MEMORY // MIB} MiB, or use --jobs 1")


def _disk(cache: Path) -> Finding:
    folder = next(p for p in (cache, *cache.parents) if p.exists())
    if not os.access(folder, os.W_OK | os.X_OK):
        remedy = "get the right to write there, or set BLKSNAP_LAB_CACHE to another folder"
        return Finding("disk", Health.LACK, f"{folder} cannot be written by this user", remedy)
    free = shutil.disk_usage(folder).free
    detail = f"{free / GIB:.1f} GiB free at {cache}"
    if free >= FREE_DISK:
        return Finding("disk", Health.OK, detail)
    remedy = f"free {FREE_DISK // GIB} GiB there, or set BLKSNAP_LAB_CACHE to another folder"
    return Finding("disk", Health.LACK, detail, remedy)


def _holdings(cache: Path) -> Iterator[Finding]:
    found = holdings(Cache(cache))
    if found:
        total = sum(one.size for one in found)
        detail = f"{total / GIB:.1f} GiB: {', '.join(_holding(one) for one in found)}"
        yield Finding("cache", Health.OK, detail, "to free some: blksnap-lab image prune --help")


def _holding(one: Holding) -> str:
    limit = f" of {one.limit} at most" if one.limit is not None else ""
    return f"{one.kind} {one.count}{limit} ({one.size // MIB} MiB)"


def _rights() -> Finding:
    is_root = os.geteuid() == 0
    how = "as root" if is_root else "unprivileged user namespaces"
    try:
        require_namespaces()
    except EnvironmentLack as lack:
        if is_root:
            detail = f"{how}, but neither kernels nor toolboxes: {lack.what}"
            return Finding("image build", Health.NOTE, detail, lack.remedy)
        return Finding("image build", Health.LACK, lack.what, lack.remedy)
    return Finding("image build", Health.OK, how)

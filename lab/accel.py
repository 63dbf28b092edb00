"""Whether KVM really works here: found out by booting a tiny guest, never by looking at /dev/kvm.

On some machines the device is there, opens and makes a virtual machine, and a stock guest then
hangs for ever. So the probe boots the image's kernel with an init that says one line and powers
off, and waits a few seconds for the line. The answer is cached for this machine and this QEMU,
until probe_again(): a probe can also fail as the machine was busy.
"""

import json
import os
import platform
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from lab.cache import Cache, digest_of
from lab.errors import EnvironmentLack, LabError
from lab.guest.command import Accel, MachineSpec
from lab.guest.identity import qemu_identity
from lab.guest.machine import Machine
from lab.image import Image
from lab.image.initramfs import build_probe_initramfs
from lab.progress import Progress, ProgressSink, silent
from lab.units import MIB

KIND = "accel"
STAGE = "accel"
DEVICE = Path("/dev/kvm")
# With working KVM the line comes within 2 s.
PROBE_LIMIT = 10.0
PROBE_MEMORY = 256 * MIB
ALIVE = "lab-probe: alive"


class AccelChoice(StrEnum):
    """What the user asks for."""

    AUTO = "auto"
    KVM = "kvm"
    TCG = "tcg"


@dataclass(frozen=True)
class Decision:
    """How guests run on this machine, and why."""

    accel: Accel
    reason: str


def decide(
    choice: AccelChoice, image: Image, cache: Cache, progress: ProgressSink = silent
) -> Decision:
    """How to run guests. EnvironmentLack if KVM was asked for and does not work."""
    if choice is AccelChoice.TCG:
        return Decision(Accel.TCG, "asked for")
    found = _cached_probe(image, cache, progress)
    if choice is AccelChoice.KVM and found.accel is not Accel.KVM:
        raise EnvironmentLack(
            f"KVM does not work: {found.reason}",
            "use --accel tcg, or auto; `blksnap-lab doctor --probe` looks again",
        )
    return found


def probe_again(image: Image, cache: Cache, progress: ProgressSink = silent) -> Decision:
    """How to run guests, by a new probe."""
    cache.discard(KIND, _probe_key(image))
    return decide(AccelChoice.AUTO, image, cache, progress)


def decided(choice: AccelChoice, image: Image, cache: Cache) -> Accel | None:
    """What decide() will say, without a probe; None if only that can tell."""
    if choice is AccelChoice.TCG or not os.access(DEVICE, os.R_OK | os.W_OK):
        return Accel.TCG
    if not (cache.root / KIND / _probe_key(image)).is_dir():
        return None
    return _cached_probe(image, cache, silent).accel


def _probe_key(image: Image) -> str:
    return digest_of(qemu_identity(), image.key, _machine_identity())


def _cached_probe(image: Image, cache: Cache, progress: ProgressSink) -> Decision:
    if not os.access(DEVICE, os.R_OK | os.W_OK):
        exists = "may not be opened by this user" if DEVICE.exists() else "does not exist"
        return Decision(Accel.TCG, f"{DEVICE} {exists}")

    def build(folder: Path) -> None:
        progress(Progress(STAGE, f"booting a tiny guest with KVM, {PROBE_LIMIT:.0f} s at most"))
        reason = probe(image, folder)
        (folder / "probe.json").write_text(json.dumps({"reason": reason}), encoding="utf-8")

    folder = cache.entry(KIND, _probe_key(image), build, progress)
    reason = json.loads((folder / "probe.json").read_text(encoding="utf-8"))["reason"]
    if reason is None:
        return Decision(Accel.KVM, "a guest boots with it")
    return Decision(Accel.TCG, reason)


def probe(
    image: Image, folder: Path, accel: Accel = Accel.KVM, limit: float = PROBE_LIMIT
) -> str | None:
    """Boot the tiny guest; None if it came up within `limit` seconds, else what happened."""
    folder.mkdir(parents=True, exist_ok=True)
    initrd = folder / "probe.cpio"
    initrd.write_bytes(build_probe_initramfs(image.folder, ALIVE))
    spec = MachineSpec(image.kernel, initrd, accel, memory=PROBE_MEMORY, cpus=1)
    try:
        with Machine(spec, folder) as machine:
            machine.wait_console(ALIVE, limit)
    except LabError as error:
        return error.what.splitlines()[0]
    return None


def _machine_identity() -> str:
    """What may change the answer: the host's kernel and processor, and the machine itself."""
    try:
        machine = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except OSError:
        machine = platform.node()
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")[0]
    model = [line for line in info.splitlines() if line.startswith(("model name", "flags"))]
    return "\n".join([machine, platform.release(), *model])

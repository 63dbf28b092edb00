"""The initramfs of a guest: busybox, drivers of the root disk, and our own files for the root.

Everything of ours that a guest needs travels in here and is laid over the root file system at
boot: init, keys, agent, modules. So a change of one of them never asks for a new image.
"""

from dataclasses import dataclass, field
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from lab.image.boot import BUSYBOX_FILE, EARLY_FOLDER, ImageFacts
from lab.image.cpio import CpioArchive
from lab.image.keys import Keys, public_half

PAYLOAD = "payload"


@dataclass(frozen=True)
class GuestFile:
    """A file laid over the guest's root: where (without leading slash), content, mode."""

    name: str
    content: bytes
    mode: int = 0o644


@dataclass(frozen=True)
class Payload:
    """All files that are laid over a guest's root at boot."""

    files: tuple[GuestFile, ...] = field(default=())

    def with_tree(self, source: Path, guest_folder: str, pattern: str = "**/*") -> "Payload":
        """This payload and the files of a host folder that fit the pattern."""
        paths = sorted(p for p in source.glob(pattern) if p.is_file())
        added = tuple(
            GuestFile(f"{guest_folder}/{p.relative_to(source).as_posix()}", p.read_bytes())
            for p in paths
        )
        return Payload(self.files + added)


def base_payload(keys: Keys) -> Payload:
    """The guest's init, its settings, and this machine's keys."""
    ours = resources.files("lab.image").joinpath("files")
    settings = tuple(_tree(ours.joinpath("root"), ""))
    secrets = (
        GuestFile("etc/ssh/ssh_host_ed25519_key", keys.host_key.read_bytes(), 0o600),
        GuestFile("etc/ssh/ssh_host_ed25519_key.pub", public_half(keys.host_key).read_bytes()),
        GuestFile("root/.ssh/authorized_keys", public_half(keys.login_key).read_bytes(), 0o600),
    )
    return Payload(settings + secrets)


def build_initramfs(image: Path, payload: Payload) -> bytes:
    """The archive to boot the image in this folder with."""
    facts = ImageFacts.load(image)
    archive = CpioArchive()
    init = resources.files("lab.image").joinpath("files/init").read_bytes()
    archive.add_file("init", init, 0o755)
    archive.add_file("bin/busybox", (image / BUSYBOX_FILE).read_bytes(), 0o755)
    order = "".join(f"{name}\n" for name in facts.early_modules)
    archive.add_file("early/order", order.encode())
    for name in facts.early_modules:
        archive.add_file(f"early/{name}", (image / EARLY_FOLDER / name).read_bytes())
    # sshd refuses keys in a folder that others may enter.
    archive.add_folder(f"{PAYLOAD}/root", 0o700)
    archive.add_folder(f"{PAYLOAD}/root/.ssh", 0o700)
    for file in payload.files:
        archive.add_file(f"{PAYLOAD}/{file.name}", file.content, file.mode)
    return bytes(archive)


def build_probe_initramfs(image: Path, line: str) -> bytes:
    """The archive of a guest that says one line on its console and powers off."""
    archive = CpioArchive()
    archive.add_file("bin/busybox", (image / BUSYBOX_FILE).read_bytes(), 0o755)
    archive.add_folder("proc")
    init = f"#!/bin/busybox sh\nbusybox echo '{line}'\nbusybox poweroff -f\n"
    archive.add_file("init", init.encode(), 0o755)
    return bytes(archive)


def _tree(folder: Traversable, prefix: str) -> list[GuestFile]:
    """Our files below a folder; scripts are known by their first line (a wheel keeps no modes)."""
    files: list[GuestFile] = []
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        name = f"{prefix}{item.name}"
        if item.is_dir():
            files += _tree(item, f"{name}/")
        else:
            content = item.read_bytes()
            files.append(GuestFile(name, content, 0o755 if content.startswith(b"#!") else 0o644))
    return files

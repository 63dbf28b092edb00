"""The keys of this machine's guests: one pair of host keys, and one key that may log in.

Made once per machine and kept in the cache, readable by its user only. They are laid over the root
file system at boot and are not part of an image.
"""

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lab.cache import Cache

KIND = "keys"
HOST_KEY = "guest-host-ed25519"
LOGIN_KEY = "login-ed25519"


@dataclass(frozen=True)
class Keys:
    """Files of the private keys; each has its public half in a file with .pub at the end."""

    host_key: Path
    login_key: Path


def machine_keys(cache: Cache) -> Keys:
    """The keys of this machine, made now if there are none."""
    folder = cache.entry(KIND, "ed25519", _make)
    return Keys(folder / HOST_KEY, folder / LOGIN_KEY)


def public_half(key: Path) -> Path:
    """The file with the public half of a key."""
    return key.with_name(f"{key.name}.pub")


def _make(folder: Path) -> None:
    for name in (HOST_KEY, LOGIN_KEY):
        key = Ed25519PrivateKey.generate()
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
        public = key.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        path = folder / name
        path.touch(mode=0o600)
        path.write_bytes(private)
        public_half(path).write_bytes(public + b" blksnap-lab\n")

"""Guest images: a Debian root file system on a qcow2 disk, with the kernel beside it."""

from lab.image.boot import KERNEL_FILE, ImageError, ImageFacts
from lab.image.initramfs import GuestFile, Payload, base_payload, build_initramfs
from lab.image.keys import Keys, machine_keys
from lab.image.recipe import DEFAULT_SUITE, SUITES, Recipe
from lab.image.store import Image, prepare_image

__all__ = [
    "DEFAULT_SUITE",
    "KERNEL_FILE",
    "SUITES",
    "GuestFile",
    "Image",
    "ImageError",
    "ImageFacts",
    "Keys",
    "Payload",
    "Recipe",
    "base_payload",
    "build_initramfs",
    "machine_keys",
    "prepare_image",
]

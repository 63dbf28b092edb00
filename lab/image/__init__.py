"""Guest images: a Debian root file system on a qcow2 disk, with the kernel beside it."""

from lab.image.boot import KERNEL_FILE, ImageError, ImageFacts
from lab.image.initramfs import GuestFile, Payload, base_payload, build_initramfs
from lab.image.kernels import DEFAULT_KERNEL, KERNELS, Kernel, kernel_named, kernel_names
from lab.image.keys import Keys, machine_keys
from lab.image.recipe import Recipe
from lab.image.store import Image, find_image, prepare_image

__all__ = [
    "DEFAULT_KERNEL",
    "KERNELS",
    "KERNEL_FILE",
    "GuestFile",
    "Image",
    "ImageError",
    "ImageFacts",
    "Kernel",
    "Keys",
    "Payload",
    "Recipe",
    "base_payload",
    "build_initramfs",
    "find_image",
    "kernel_named",
    "kernel_names",
    "machine_keys",
    "prepare_image",
]

"""Guest images: a Debian root file system on a qcow2 disk, with the kernel beside it."""

from lab.image.boot import KERNEL_FILE, ImageError, ImageFacts
from lab.image.initramfs import GuestFile, Payload, base_payload, build_initramfs
from lab.image.kernel_build import (
    BuiltKernel,
    check_kernel_config,
    kernel_toolbox,
    prepare_kernel,
)
from lab.image.kernels import (
    BUILT_KERNELS,
    DEFAULT_KERNEL,
    KERNELS,
    Kernel,
    kernel_named,
    kernel_names,
)
from lab.image.keys import Keys, machine_keys
from lab.image.patches import kernel_patches
from lab.image.recipe import Recipe
from lab.image.store import Image, find_image, prepare_image
from lab.image.toolbox import Toolbox, unpack_toolbox

__all__ = [
    "BUILT_KERNELS",
    "DEFAULT_KERNEL",
    "KERNELS",
    "KERNEL_FILE",
    "BuiltKernel",
    "GuestFile",
    "Image",
    "ImageError",
    "ImageFacts",
    "Kernel",
    "Keys",
    "Payload",
    "Recipe",
    "Toolbox",
    "base_payload",
    "build_initramfs",
    "check_kernel_config",
    "find_image",
    "kernel_named",
    "kernel_names",
    "kernel_patches",
    "kernel_toolbox",
    "machine_keys",
    "prepare_image",
    "prepare_kernel",
    "unpack_toolbox",
]

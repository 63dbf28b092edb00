"""The toolbox of the checkers: headers, compiler and checkers of the guests' kernel.

Debian ships checkpatch in one package only, linux-source; of its archive just the script and what
it reads are kept, in /usr/src/linux-source-*/scripts.
"""

from lab.cache import Cache
from lab.image import DEFAULT_KERNEL, Kernel, Recipe, Toolbox, kernel_toolbox, unpack_toolbox
from lab.image.toolbox import EXCLUDED
from lab.progress import ProgressSink, silent

HEADERS = "linux-headers-cloud-amd64"
COMPILER = ("gcc", "libc6-dev", "make")
KERNEL_PACKAGES = (HEADERS, "linux-source")
PACKAGES = (
    *COMPILER,
    "perl",
    "sparse",
    "xz-utils",
)
_KEEP_CHECKPATCH = """
set -e
cd /usr/src
tar -xJf linux-source-*.tar.xz --wildcards '*/scripts/checkpatch.pl' '*/scripts/spelling.txt' \\
    '*/scripts/const_structs.checkpatch'
rm linux-source-*.tar.xz
"""


def prepare_toolbox(cache: Cache, progress: ProgressSink = silent) -> Toolbox:
    """The toolbox: from the cache, or made now (a download of 250 MB and two minutes)."""
    recipe = Recipe(packages=KERNEL_PACKAGES + PACKAGES, excluded=EXCLUDED)
    return unpack_toolbox(recipe, cache, progress, _KEEP_CHECKPATCH)


def compiler_toolbox(kernel: Kernel, cache: Cache, progress: ProgressSink = silent) -> Toolbox:
    """What modules for a kernel are compiled in, from the cache or made now.

    For one that the lab builds it is what that was built in; its headers come with it. For one of
    the distribution it has the headers: for the usual one that of the checkers, which is there
    already, for another one a smaller one.
    """
    if kernel.source:
        return kernel_toolbox(kernel, cache, progress)
    if kernel.name == DEFAULT_KERNEL:
        return prepare_toolbox(cache, progress)
    recipe = Recipe(kernel, packages=(HEADERS, *COMPILER), excluded=EXCLUDED)
    return unpack_toolbox(recipe, cache, progress)

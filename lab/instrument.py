"""A module that counts how often each of its branches is taken, on any kernel.

The compiler does it (-fprofile-arcs), in place: nothing is called, so that code may be counted that
must not call anything, as what ftrace calls. The kernel need know nothing of it. A module of the
lab, `blksnap_coverage`, keeps the counters of others and shows them (lab/data/coverage). Nothing in
the module's sources has to be changed.

What a build leaves for the reading of counters is kept with it, in an archive: the compiler's notes
(*.gcno), and the sources.
"""

import shlex

from lab.cache import digest_of
from lab.data import data_file
from lab.errors import LabError, UsageError
from lab.guest.ssh import Ssh
from lab.image import Kernel

KEEPER = "blksnap_coverage"
"""The module that has to be loaded before instrumented ones."""
NOTES = "coverage.tar.gz"
"""The archive beside a built module."""
FOLDER = "/tmp/coverage"
"""In the guest that it is built in."""
_FILES = ("Kbuild", f"{KEEPER}.c", "coverage.lds")
# Counters are exact on several processors, and stay where what they count is.
_FLAGS = (
    "-fprofile-arcs -ftest-coverage -fprofile-info-section -fprofile-update=atomic"
    " -fno-tree-loop-im"
)
_ARGUMENTS = (
    f"KBUILD_EXTRA_SYMBOLS={FOLDER}/Module.symvers KCFLAGS={shlex.quote(_FLAGS)}"
    f" LDFLAGS_MODULE='-T {FOLDER}/coverage.lds'"
)
# gcc 10 has no -fprofile-info-section.
_TOO_OLD = frozenset({"bullseye"})
COPY_LIMIT = 60.0


def refuse(kernel: Kernel) -> None:
    """UsageError for a kernel that modules cannot be instrumented for."""
    if kernel.source:
        raise UsageError("coverage is taken on kernels of the distribution", "another --kernel")
    if kernel.suite in _TOO_OLD:
        raise UsageError(
            f"the compiler of {kernel.suite} is too old for coverage: gcc 11 is needed",
            "another --kernel",
        )


def digest() -> str:
    """Digest of all that makes an instrumented module differ."""
    return digest_of(_ARGUMENTS, *(_content(name) for name in _FILES))


def bring(ssh: Ssh, make: str, source: str) -> str:
    """Give the guest what the build needs; the command that builds the keeper, then the module.

    make: the command without folder and target. source: where in the guest the module's are.
    """
    here = data_file("coverage")
    ssh.put_tree(here, FOLDER, [here / name for name in _FILES])
    return f"{make} M={FOLDER} modules && {make} M={source} {_ARGUMENTS} modules"


def pack_notes(ssh: Ssh, source: str) -> str:
    """Make, in the guest, the archive for the reading of counters; its path."""
    archive = f"{FOLDER}/{NOTES}"
    found = "find . -name '*.gcno' -o -name '*.[ch]' ! -name '*.mod.c'"
    command = f"cd {source} && {found} | sort | tar -czf {archive} -T -"
    done = ssh.run(command, timeout=COPY_LIMIT)
    if done.status != 0:
        raise LabError(f"the compiler's notes cannot be kept: {done.output}")
    return archive


def _content(name: str) -> bytes:
    return (data_file("coverage") / name).read_bytes()

"""Kernels of the lab: Debian's source, with the lab's configuration, compiled on this host.

    <cache>/kernels/<key>/kernel.tar     boot/, usr/lib/modules/, usr/src/linux-headers-*: what goes
                                         over the root of a guest
                          System.map, config, build.log, kernel.json

The compiler is that of the guest's suite, in a toolbox: in an emulated guest a build would take
half a day. The key is the digest of the versions of source and compiler, of the configuration, and
of the patches that go over the source (see lab.image.patches); its first digits are part of the
kernel's release, so that nothing is taken for another build's.
"""

import json
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.cache import Cache, digest_of
from lab.errors import LabError
from lab.image.boot import versions_of
from lab.image.kconfig import (
    Fragment,
    config_text,
    lost,
    merge,
    parse_config,
    read_fragment,
    refuse_lost,
)
from lab.image.kernels import Kernel
from lab.image.patches import PatchFile, kernel_patches, new_objects
from lab.image.recipe import Recipe
from lab.image.toolbox import EXCLUDED, Toolbox, unpack_toolbox
from lab.process import CommandFailed
from lab.progress import Progress, ProgressSink, silent

KIND = "kernels"
STAGE = "kernel"
ARCHIVE, FACTS = "kernel.tar", "kernel.json"
CONFIG, LOG, SYMBOLS = "config", "build.log", "System.map"
TOOLS = (
    *["bc", "bison", "ccache", "cpio", "flex", "gcc", "kmod", "libc6-dev"],
    *["libelf-dev", "libssl-dev", "make", "patch", "perl", "xz-utils"],
)
# Raised when the way of building changes.
FORMAT = 2
UNPACK_LIMIT = 900.0
CONFIGURE_LIMIT = 600.0
# Three quarters of an hour with a quarter of two cores.
BUILD_LIMIT = 3 * 3600.0
INSTALL_LIMIT = 600.0
# What a build compiles; only for telling how far it is.
OBJECTS = 1670

_COMPILED = re.compile(r"\s+(?:CC|AS)\s+(?:\[M\]\s+)?(\S+)")
_COMPLAINT = re.compile(r".*\berror:.*|.*\*\*\*.*|ERROR:.*|.*undefined reference.*")

# Everything happens in /mnt/tree. Texts, and sources of what is never configured, are left out; all
# Kconfig files are read.
_UNPACK = """
set -e
mkdir /mnt/tree
tar -xJf /usr/src/{source}.tar.xz -C /mnt/tree --strip-components=1 --wildcards \\
    --exclude='*/arch/[!x]*/*.[chS]' --exclude='*/arch/[!x]*/*.dts*' \\
    --exclude='*/Documentation/*.[rty]*' --exclude='*/drivers/gpu/*.[ch]' \\
    --exclude='*/drivers/net/*/*.[ch]' --exclude='*/sound/*.[ch]'
"""
# What a configuration is made of, and all that a patch may change.
_UNPACK_LITTLE = """
set -e
mkdir /mnt/tree
tar -xJf /usr/src/{source}.tar.xz -C /mnt/tree --strip-components=1 --wildcards \\
    '*/Kconfig*' '*/Makefile*' '*/Kbuild*' '*/scripts/*' '*/arch/x86/*' '*/tools/*' \\
    '*/block/*' '*/include/*' '*/MAINTAINERS'
"""
# What does not fit to the letter, but for its place, is made for another source.
_PATCH = """
cd /mnt/tree
for one in /mnt/patches/*; do
    echo "${one##*/}:"
    patch --strip=1 --force --fuzz=0 --no-backup-if-mismatch --quiet --input="$one" || exit
done
"""
_CONFIGURE = "cd /mnt/tree && make -s KCONFIG_ALLCONFIG=/mnt/wanted.config allnoconfig"
# KASAN does not watch the two that watch everything else, as they take most of the time of a debug
# kernel; of lockdep Linux 6.15 says so itself.
_BUILD = """
cd /mnt/tree
export CCACHE_DIR=/srv CCACHE_MAXSIZE=2G KBUILD_BUILD_USER=lab KBUILD_BUILD_HOST=lab
make -j$(nproc) CC="ccache gcc" HOSTCC="ccache gcc" \\
    KASAN_SANITIZE_lockdep.o=n KASAN_SANITIZE_kmemleak.o=n bzImage modules
"""
# Other flags than before, so they are compiled anew; at the end, when all is packed.
_WARN = """
cd /mnt/tree
export CCACHE_DIR=/srv CCACHE_MAXSIZE=2G KBUILD_BUILD_USER=lab KBUILD_BUILD_HOST=lab
make -j$(nproc) CC="ccache gcc" HOSTCC="ccache gcc" W=1 {objects}
"""
# Modules of our own are built in guests with these headers, as with those of Debian's packages.
_INSTALL = """
set -e
cd /mnt/tree
release=$(make -s kernelrelease)
root=/mnt/root
headers=/usr/src/linux-headers-$release
mkdir -p $root/boot $root/usr $root$headers
cp arch/x86/boot/bzImage $root/boot/vmlinuz-$release
make -s INSTALL_MOD_PATH=$root/usr modules_install
modules=$root/usr/lib/modules/$release
rm -f $modules/build $modules/source
ln -s $headers $modules/build
tar -c --exclude='*.o' --exclude='include/dt-bindings' Makefile .config Module.symvers \\
    arch/x86/Makefile* arch/x86/include include scripts $(ls tools/objtool/objtool) |
    tar -x -C $root$headers
(cd $root && tar -c --owner=0 --group=0 --numeric-owner -f /mnt/{archive} ./boot/* \\
    ./usr/lib/modules/* ./usr/src/*)
cp .config /mnt/{config}
cp System.map /mnt/{symbols}
echo "release $release"
"""


class KernelBuildFailed(LabError):  # noqa: N818 - it says what happened
    """The kernel does not build."""


@dataclass(frozen=True)
class KernelFacts:
    """What was built, from which package, with which compiler; objects: how many were compiled.

    warnings: what the compiler says with W=1 of the sources that patches added; of a kernel that
    was built by a lab that did not ask for it, nothing.
    """

    name: str
    key: str
    release: str
    source: str
    compiler: str
    objects: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class BuiltKernel:
    """A kernel in the cache."""

    folder: Path
    facts: KernelFacts

    @property
    def archive(self) -> Path:
        """What goes over the root of a guest: kernel, modules, headers."""
        return self.folder / ARCHIVE

    @property
    def config(self) -> Path:
        """Its complete configuration."""
        return self.folder / CONFIG

    @property
    def has_module(self) -> bool:
        """Whether it has blksnap in its tree, as a module."""
        options = parse_config(self.config.read_text(encoding="utf-8"))
        return options.get("CONFIG_BLK_SNAP") == "m"


def toolbox_recipe(kernel: Kernel) -> Recipe:
    """The toolbox that a kernel is built in; the same for all configurations of a source."""
    base = Kernel(kernel.suite, kernel.suite)
    return Recipe(base, packages=(kernel.source, *TOOLS), excluded=EXCLUDED)


def kernel_toolbox(kernel: Kernel, cache: Cache, progress: ProgressSink = silent) -> Toolbox:
    """The toolbox that a kernel, and modules for it, are built in."""
    return unpack_toolbox(toolbox_recipe(kernel), cache, progress)


def kernel_key(
    kernel: Kernel,
    fragments: list[Fragment],
    packages: dict[str, str],
    patches: tuple[PatchFile, ...] = (),
) -> str:
    """Digest of everything that decides what comes out."""
    versions = (packages[kernel.source], compiler_of(packages))
    texts = [part for fragment in fragments for part in (fragment.name, fragment.text)]
    texts += [part for patch in patches for part in (patch.name, patch.text)]
    return f"{kernel.name}-{digest_of(str(FORMAT), kernel.name, *versions, *texts)}"


def compiler_of(packages: dict[str, str]) -> str:
    """The compiler, with the version of its package."""
    return versions_of(packages, r"gcc-\d+|binutils")


def prepare_kernel(kernel: Kernel, cache: Cache, progress: ProgressSink = silent) -> BuiltKernel:
    """A kernel of the lab: from the cache, or built now (20 minutes and more).

    ConfigError if the source cannot be configured so, KernelBuildFailed with the words of patch or
    the compiler.
    """
    toolbox = kernel_toolbox(kernel, cache, progress)
    fragments = [read_fragment(name) for name in kernel.fragments]
    packages = toolbox.packages()
    patches = kernel_patches(kernel)
    key = kernel_key(kernel, fragments, packages, patches)

    def build(folder: Path) -> None:
        compiled = cache.root / "ccache"
        compiled.mkdir(parents=True, exist_ok=True)
        with cache.scratch("kernel") as work:
            tree = _Tree(work, toolbox, compiled, progress)
            tree.unpack(kernel.source)
            tree.patch(patches)
            tree.configure(merge(fragments), key)
            objects = tree.compile(folder / LOG)
            release = tree.install(folder)
            warnings = tree.warnings(new_objects(patches))
        source = f"{kernel.source} {packages[kernel.source]}"
        compiler = compiler_of(packages)
        facts = KernelFacts(kernel.name, key, release, source, compiler, objects, warnings)
        (folder / FACTS).write_text(json.dumps(asdict(facts), indent=1), encoding="utf-8")

    folder = cache.entry(KIND, key, build, progress)
    return BuiltKernel(folder, read_facts((folder / FACTS).read_text(encoding="utf-8")))


def read_facts(text: str) -> KernelFacts:
    """The facts of a kernel that was built, also by an older lab."""
    fields = json.loads(text)
    warnings = tuple(fields.pop("warnings", ()))
    return KernelFacts(**fields, warnings=warnings)


def check_kernel_config(
    kernel: Kernel, cache: Cache, progress: ProgressSink = silent
) -> tuple[str, ...]:
    """Configure a kernel as for a build, and build nothing (half a minute): what got lost.

    A line for each option that is not as asked for. KernelBuildFailed if a patch does not apply.
    """
    toolbox = kernel_toolbox(kernel, cache, progress)
    fragments = [read_fragment(name) for name in kernel.fragments]
    patches = kernel_patches(kernel)
    with cache.scratch("kernel") as work:
        tree = _Tree(work, toolbox, work, progress)
        tree.unpack(kernel.source, _UNPACK_LITTLE)
        tree.patch(patches)
        key = kernel_key(kernel, fragments, toolbox.packages(), patches)
        return tree.lost_options(merge(fragments), key)


@dataclass(frozen=True)
class _Tree:
    """A source on its way to a kernel, in a folder that is /mnt in the toolbox.

    compiled: what the compiler made in earlier builds (ccache).
    """

    work: Path
    toolbox: Toolbox
    compiled: Path
    progress: ProgressSink

    def unpack(self, source: str, script: str = _UNPACK) -> None:
        """Get the source out of its package."""
        self.progress(Progress(STAGE, "unpacking the source", 0.0))
        self.toolbox.run(self.work, script.format(source=source), timeout=UNPACK_LIMIT)

    def patch(self, patches: tuple[PatchFile, ...]) -> None:
        """Change the source. KernelBuildFailed with the name of the patch that does not apply."""
        if not patches:
            return
        self.progress(Progress(STAGE, f"applying {len(patches)} patches", 0.04))
        folder = self.work / "patches"
        folder.mkdir()
        for one in patches:
            (folder / one.name).write_text(one.text, encoding="utf-8")
        try:
            self.toolbox.run(self.work, _PATCH, timeout=CONFIGURE_LIMIT)
        except CommandFailed as error:
            raise KernelBuildFailed(f"a patch does not apply:\n{error.output.strip()}") from error

    def configure(self, options: dict[str, str], key: str) -> None:
        """Make its .config. ConfigError if it is not what was asked for."""
        refuse_lost(self.lost_options(options, key))

    def lost_options(self, options: dict[str, str], key: str) -> tuple[str, ...]:
        """Make its .config; a line for each option that is not as asked for."""
        self.progress(Progress(STAGE, "configuring", 0.05))
        wanted = {**options, "CONFIG_LOCALVERSION": f'"{local_version(key)}"'}
        (self.work / "wanted.config").write_text(config_text(wanted), encoding="utf-8")
        self.toolbox.run(self.work, _CONFIGURE, timeout=CONFIGURE_LIMIT)
        return lost(wanted, (self.work / "tree/.config").read_text(encoding="utf-8"))

    def compile(self, log: Path) -> int:
        """Build kernel and modules; how many files were compiled. KernelBuildFailed if it fails."""
        tell = _Teller(self.progress)
        try:
            output = self.toolbox.run(
                self.work, _BUILD, timeout=BUILD_LIMIT, kept=self.compiled, on_line=tell
            )
        except CommandFailed as error:
            raise KernelBuildFailed(complaints(error.output)) from error
        log.write_text(output, encoding="utf-8")
        return tell.compiled

    def install(self, folder: Path) -> str:
        """Put what guests need into an empty folder; the kernel's release."""
        self.progress(Progress(STAGE, "packing", 0.95))
        script = _INSTALL.format(archive=ARCHIVE, config=CONFIG, symbols=SYMBOLS)
        output = self.toolbox.run(self.work, script, timeout=INSTALL_LIMIT)
        for name in (ARCHIVE, CONFIG, SYMBOLS):
            shutil.move(self.work / name, folder / name)
        return output.split()[-1]

    def warnings(self, objects: tuple[str, ...]) -> tuple[str, ...]:
        """What the compiler warns of with W=1 in some objects, which are compiled anew."""
        if not objects:
            return ()
        self.progress(Progress(STAGE, "looking for warnings", 0.97))
        script = _WARN.format(objects=" ".join(objects))
        try:
            output = self.toolbox.run(self.work, script, timeout=INSTALL_LIMIT, kept=self.compiled)
        except CommandFailed as error:
            raise KernelBuildFailed(complaints(error.output)) from error
        return tuple(line for line in output.splitlines() if "warning:" in line)


class _Teller:
    """Tells of each file that is compiled, and counts them."""

    def __init__(self, progress: ProgressSink) -> None:
        self.compiled = 0
        self._progress = progress

    def __call__(self, line: str) -> None:
        match = _COMPILED.match(line)
        if match is not None:
            self.compiled += 1
            fraction = min(0.94, 0.06 + 0.88 * self.compiled / OBJECTS)
            told = f"compiled {self.compiled} files, {match[1]}"
            self._progress(Progress(STAGE, told, fraction))


def local_version(key: str) -> str:
    """What of a key becomes part of the release: "-debug-1a2b3c4d" of 6.1-debug-1a2b3c4d5e..."""
    name, _, digest = key.rpartition("-")
    return f"-{name.partition('-')[2]}-{digest[:8]}"


def complaints(output: str) -> str:
    """What make and the compiler complain about, or the end of what they said."""
    lines = output.splitlines()
    found = [line for line in lines if _COMPLAINT.fullmatch(line)]
    return "\n".join(["the kernel does not build:", *(found or lines[-30:])])

"""The kernel module, built inside a guest with the guest's own compiler and headers, and cached.

The key is the digest of (sources, kernel release, compiler); one that counts its branches has
another (lab.instrument). A build that fails is not kept.

    LabError
     └─ ModuleBuildFailed   the compiler's message
"""

import json
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from lab import compiler_cache, instrument
from lab.cache import Cache, digest_of
from lab.data import data_folder
from lab.errors import LabError, UsageError
from lab.guest.command import Accel
from lab.guest.scratch import boot_scratch
from lab.guest.ssh import Finished, Ssh
from lab.image import BuiltKernel, Image, Kernel, Keys, kernel_toolbox, prepare_kernel
from lab.image.boot import versions_of
from lab.process import CommandFailed
from lab.progress import Progress, ProgressSink, silent
from lab.series import SERIES_FOLDER, has_series, is_kept_series, read_plan

KIND = "modules"
STAGE = "module"
FACTS, LOG = "build.json", "build.log"
# In the guest; /tmp is in its memory.
SOURCE = "/tmp/module"
# Three minutes on two idle cores under emulation; much more when they are shared.
BUILD_LIMIT = 3600.0
COMMAND_LIMIT = 180.0
# What a build leaves behind is not source, even if somebody built in place; nor are texts.
_PRODUCTS = re.compile(r".*\.(ko|o|a|mod|mod\.c|cmd|symvers|order|d|md)")
_COMPILED = re.compile(r"\s+CC \[M\]\s+(\S+)")
# /mnt/module is the source, /srv the kernel's folder in the cache. Where the kernel has UBSAN, the
# module is watched too, though not all of the kernel is.
_ON_HOST = """
set -e
mkdir /mnt/headers /mnt/modules /mnt/debug
tar -xf /srv/kernel.tar -C /mnt/headers ./{headers}
make -j$(nproc) -C /mnt/headers/{headers} M=/mnt/module W=1 UBSAN_SANITIZE=y modules
cp $(find /mnt/module -name '*.ko') /mnt/debug
cp /mnt/debug/*.ko /mnt/modules
strip --strip-debug /mnt/modules/*.ko
"""
# The modules that were built with the kernel; what else it has is not ours.
_FROM_KERNEL = """
set -e
mkdir /mnt/tree /mnt/modules /mnt/debug
tar -xf /srv/kernel.tar -C /mnt/tree --wildcards './{modules}/kernel/{driver}/*.ko'
cp $(find /mnt/tree -name '*.ko') /mnt/debug
cp /mnt/debug/*.ko /mnt/modules
strip --strip-debug /mnt/modules/*.ko
"""
_COMPLAINT = re.compile(r".*\b(error|warning):.*|.*\*\*\*.*|ERROR:.*")


class ModuleBuildFailed(LabError):  # noqa: N818 - it says what happened
    """The module does not build. `log` is all that make and the compiler said."""

    def __init__(self, source: Path, log: str) -> None:
        lines = [line for line in log.splitlines() if _COMPLAINT.match(line)]
        told = "\n".join(lines or log.splitlines()[-20:])
        super().__init__(f"the module in {source} does not build:\n{told}", "mend the sources")
        self.log = log


@dataclass(frozen=True)
class BuildFacts:
    """What was built, of what, with what, and what the compiler had to say."""

    key: str
    kernel_release: str
    compiler: str
    modules: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class BuiltModule:
    """A module in the cache: modules/*.ko to load, debug/*.ko with symbols, and the build's log."""

    folder: Path
    facts: BuildFacts

    @property
    def load_folder(self) -> Path:
        """Where the modules to load are."""
        return self.folder / "modules"

    @property
    def key(self) -> str:
        """Digest of what it was made of."""
        return self.facts.key

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the compiler warned of."""
        return self.facts.warnings

    def files(self) -> list[tuple[str, bytes]]:
        """The modules to load, by the names of their files."""
        return [(path.name, path.read_bytes()) for path in sorted(self.load_folder.glob("*.ko"))]

    @property
    def debug_folder(self) -> Path:
        """Where the modules with all their symbols are."""
        return self.folder / "debug"

    @property
    def coverage_notes(self) -> Path | None:
        """The archive for the reading of its counters, if it counts."""
        path = self.folder / instrument.NOTES
        return path if path.exists() else None


def source_files(source: Path) -> list[Path]:
    """The sources in a folder: all but its test/, hidden files and what a build leaves behind.

    A patch series that is made of them is not a source either.
    """
    if not (source / "Makefile").is_file() and not (source / "Kbuild").is_file():
        raise UsageError(
            f"{source} has neither Makefile nor Kbuild: it is no kernel module",
            "name the folder of its sources with --module",
        )
    left_out = {"test", SERIES_FOLDER} if has_series(source) else {"test"}
    return sorted(
        path
        for path in source.rglob("*")
        if path.is_file()
        and path.relative_to(source).parts[0] not in left_out
        and not any(part.startswith(".") for part in path.relative_to(source).parts)
        and not _PRODUCTS.fullmatch(path.name)
    )


def module_key(source: Path, image: Image, *, coverage: bool = False) -> str:
    """Digest of sources, kernel and compiler, and of what makes it count if `coverage` is set."""
    parts: list[str | bytes] = [image.facts.kernel_release, compiler_of(image)]
    if coverage:
        parts.append(instrument.digest())
    for path in source_files(source):
        parts += [path.relative_to(source).as_posix(), path.read_bytes()]
    return f"{image.facts.kernel_release}-{digest_of(*parts)}"


def compiler_of(image: Image) -> str:
    """The compiler and the headers of an image, by the versions of their packages."""
    return versions_of(image.facts.packages, r"gcc(-\d+)?|binutils|make|linux-headers-.*")


def build_module(
    source: Path,
    image: Image,
    *,
    keys: Keys,
    accel: Accel,
    cache: Cache,
    progress: ProgressSink = silent,
    kernel: Kernel | None = None,
    coverage: bool = False,
) -> BuiltModule:
    """The module of a folder for an image's kernel: from the cache, or built now in a guest.

    coverage: it counts how often each of its branches is taken; see lab.instrument. For a `kernel`
    that the lab built it is built where that was, on this host: in a guest of a debug kernel it
    would take half an hour. If the kernel's own tree has these very sources, as a patch series, the
    module is the one that was built there. ModuleBuildFailed with the compiler's message if it does
    not build; nothing is kept then.
    """
    key = module_key(source, image, coverage=coverage)
    job = _Job(source, image, cache, progress, coverage)

    def build(folder: Path) -> None:
        if kernel is not None and kernel.source:
            made, modules = _make_on_host(job, kernel, folder)
        else:
            made, modules = _make_in_guest(job, keys, accel, folder)
        if module_key(source, image, coverage=coverage) != key:
            raise LabError(
                f"the sources in {source} were changed while the module was built of them",
                "run it again, and leave them alone until it is built",
            )
        (folder / LOG).write_text(made.output, encoding="utf-8")
        warnings = tuple(line for line in made.output.splitlines() if "warning:" in line)
        release, compiler = image.facts.kernel_release, compiler_of(image)
        facts = BuildFacts(key, release, compiler, modules, warnings)
        (folder / FACTS).write_text(json.dumps(asdict(facts), indent=1), encoding="utf-8")

    return _load(cache.entry(KIND, key, build, progress))


def find_module(
    source: Path, image: Image, cache: Cache, *, coverage: bool = False
) -> BuiltModule | None:
    """The module of a folder for an image's kernel, if it has been built."""
    folder = cache.root / KIND / module_key(source, image, coverage=coverage)
    return _load(folder) if (folder / FACTS).is_file() else None


def _load(folder: Path) -> BuiltModule:
    fields = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    lists = {name: tuple(fields[name]) for name in ("modules", "warnings")}
    return BuiltModule(folder, BuildFacts(**{**fields, **lists}))


@dataclass(frozen=True)
class _Job:
    """What is built, for what."""

    source: Path
    image: Image
    cache: Cache
    progress: ProgressSink
    coverage: bool


def _make_in_guest(
    job: _Job, keys: Keys, accel: Accel, folder: Path
) -> tuple[Finished, tuple[str, ...]]:
    job.progress(Progress(STAGE, "booting a guest to build in", 0.0))
    with (
        job.cache.scratch("builder") as scratch,
        boot_scratch(job.image, keys, scratch, accel) as ssh,
    ):
        compiler_cache.bring(ssh, job.cache, job.image)
        made = _make(ssh, job)
        compiler_cache.keep(ssh, job.cache, job.image, job.progress)
        if made.status != 0:
            raise ModuleBuildFailed(job.source, made.output)
        if job.coverage:
            ssh.get(instrument.pack_notes(ssh, SOURCE), folder / instrument.NOTES)
        return made, _fetch(ssh, folder)


def _make_on_host(job: _Job, kernel: Kernel, folder: Path) -> tuple[Finished, tuple[str, ...]]:
    built = prepare_kernel(kernel, job.cache, job.progress)
    release = built.facts.release
    if release != job.image.facts.kernel_release:
        raise LabError(
            f"{job.image.folder} has the kernel {job.image.facts.kernel_release}, and the one"
            f" that was built last is {release}",
            f"remove {job.image.folder}",
        )
    if kernel.series and is_kept_series(job.source, data_folder("guest_module"), kernel.series):
        return _take_from_kernel(job, kernel, built, folder)
    files = source_files(job.source)
    tell = _teller(sum(path.suffix == ".c" for path in files), job.progress)
    with job.cache.scratch("builder") as work:
        for path in files:
            target = work / "module" / path.relative_to(job.source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        toolbox = kernel_toolbox(kernel, job.cache, job.progress)
        script = _ON_HOST.format(headers=f"usr/src/linux-headers-{release}")
        try:
            output = toolbox.run(work, script, timeout=BUILD_LIMIT, kept=built.folder, on_line=tell)
        except CommandFailed as error:
            raise ModuleBuildFailed(job.source, error.output) from error
        return Finished(0, output), _keep(work, folder)


def _take_from_kernel(
    job: _Job, kernel: Kernel, built: BuiltKernel, folder: Path
) -> tuple[Finished, tuple[str, ...]]:
    """The module that was built in the kernel's tree, with what the compiler warned of in all that
    patches added to that; UsageError if it is no module there."""
    if not built.has_module:
        raise UsageError(
            f"{kernel.name} has blksnap built in, so that there is no module to load",
            "scenarios load and unload it: take the kernel that has it as a module",
        )
    modules = f"usr/lib/modules/{built.facts.release}"
    script = _FROM_KERNEL.format(modules=modules, driver=read_plan(job.source).driver)
    with job.cache.scratch("builder") as work:
        toolbox = kernel_toolbox(kernel, job.cache, job.progress)
        output = toolbox.run(work, script, timeout=BUILD_LIMIT, kept=built.folder)
        told = "\n".join([output, *built.facts.warnings])
        return Finished(0, told), _keep(work, folder)


def _keep(work: Path, folder: Path) -> tuple[str, ...]:
    """Move what was made to where it is kept; names of the modules."""
    for kind in ("modules", "debug"):
        shutil.move(work / kind, folder / kind)
    return tuple(sorted(one.name for one in (folder / "modules").iterdir()))


def _make(ssh: Ssh, job: _Job) -> Finished:
    files = source_files(job.source)
    ssh.put_tree(job.source, SOURCE, files)
    tell = _teller(sum(path.suffix == ".c" for path in files), job.progress)
    headers = f"/lib/modules/{shlex.quote(job.image.facts.kernel_release)}/build"
    make = f"make -j$(nproc) -C {headers} W=1"
    command = f"{make} M={SOURCE} modules"
    if job.coverage:
        command = instrument.bring(ssh, make, SOURCE)
    return ssh.run(
        f"export {compiler_cache.ENVIRONMENT}; {command}", timeout=BUILD_LIMIT, on_line=tell
    )


def _teller(files: int, progress: ProgressSink) -> Callable[[str], None]:
    seen = 0

    def tell(line: str) -> None:
        nonlocal seen
        match = _COMPILED.match(line)
        if match is not None:
            seen += 1
            name = Path(match[1]).with_suffix(".c").name
            fraction = min(0.95, 0.1 + 0.8 * seen / (files + 2))
            progress(Progress(STAGE, f"compiling {name}", fraction))

    return tell


def _fetch(ssh: Ssh, folder: Path) -> tuple[str, ...]:
    """Copy the modules out of the guest, as built and without debugging symbols."""
    places = f"{SOURCE} $(ls -d {instrument.FOLDER} 2>/dev/null)"
    listed = ssh.run(f"find {places} -name '*.ko'", timeout=COMMAND_LIMIT)
    paths = sorted(listed.output.split())
    if not paths:
        raise ModuleBuildFailed(Path(SOURCE), "ERROR: make made no module (*.ko)")
    for kind in ("modules", "debug"):
        (folder / kind).mkdir()
    for path in paths:
        name = Path(path).name
        ssh.get(path, folder / "debug" / name)
        ssh.run(f"strip --strip-debug {shlex.quote(path)}", timeout=COMMAND_LIMIT)
        ssh.get(path, folder / "modules" / name)
    return tuple(Path(path).name for path in paths)

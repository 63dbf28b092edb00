"""The kernel module, built inside a guest with the guest's own compiler and headers, and cached.

The key is the digest of (sources, kernel release, compiler). A build that fails is not kept.

    LabError
     └─ ModuleBuildFailed   the compiler's message
"""

import json
import re
import shlex
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from lab import compiler_cache
from lab.cache import Cache, digest_of
from lab.errors import LabError, UsageError
from lab.guest.command import Accel
from lab.guest.scratch import boot_scratch
from lab.guest.ssh import Finished, Ssh
from lab.image import Image, Keys
from lab.progress import Progress, ProgressSink, silent

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
    def debug_folder(self) -> Path:
        """Where the modules with all their symbols are."""
        return self.folder / "debug"


def source_files(source: Path) -> list[Path]:
    """The sources in a folder: all but its test/, hidden files and what a build leaves behind."""
    if not (source / "Makefile").is_file() and not (source / "Kbuild").is_file():
        raise UsageError(f"{source} has neither Makefile nor Kbuild: it is no kernel module")
    return sorted(
        path
        for path in source.rglob("*")
        if path.is_file()
        and path.relative_to(source).parts[0] != "test"
        and not any(part.startswith(".") for part in path.relative_to(source).parts)
        and not _PRODUCTS.fullmatch(path.name)
    )


def module_key(source: Path, image: Image) -> str:
    """Digest of sources, kernel and compiler."""
    parts: list[str | bytes] = [image.facts.kernel_release, compiler_of(image)]
    for path in source_files(source):
        parts += [path.relative_to(source).as_posix(), path.read_bytes()]
    return f"{image.facts.kernel_release}-{digest_of(*parts)}"


def compiler_of(image: Image) -> str:
    """The compiler and the headers of an image, by the versions of their packages."""
    wanted = re.compile(r"gcc(-\d+)?|binutils|make|linux-headers-.*")
    found = {name: v for name, v in image.facts.packages.items() if wanted.fullmatch(name)}
    return ", ".join(f"{name} {version}" for name, version in sorted(found.items()))


def build_module(
    source: Path,
    image: Image,
    *,
    keys: Keys,
    accel: Accel,
    cache: Cache,
    progress: ProgressSink = silent,
) -> BuiltModule:
    """The module of a folder for an image's kernel: from the cache, or built now in a guest.

    ModuleBuildFailed with the compiler's message if it does not build; nothing is kept then.
    """
    key = module_key(source, image)

    def build(folder: Path) -> None:
        progress(Progress(STAGE, "booting a guest to build in", 0.0))
        with (
            cache.scratch("builder") as scratch,
            boot_scratch(image, keys, scratch, accel=accel) as guest,
        ):
            compiler_cache.bring(guest.ssh, cache, image)
            made = _make(guest.ssh, source, image.facts.kernel_release, progress)
            compiler_cache.keep(guest.ssh, cache, image, progress)
            if made.status != 0:
                raise ModuleBuildFailed(source, made.output)
            modules = _fetch(guest.ssh, folder)
        (folder / LOG).write_text(made.output, encoding="utf-8")
        warnings = tuple(line for line in made.output.splitlines() if "warning:" in line)
        release, compiler = image.facts.kernel_release, compiler_of(image)
        facts = BuildFacts(key, release, compiler, modules, warnings)
        (folder / FACTS).write_text(json.dumps(asdict(facts), indent=1), encoding="utf-8")

    folder = cache.entry(KIND, key, build, progress)
    fields = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    lists = {name: tuple(fields[name]) for name in ("modules", "warnings")}
    return BuiltModule(folder, BuildFacts(**{**fields, **lists}))


def _make(ssh: Ssh, source: Path, release: str, progress: ProgressSink) -> Finished:
    files = source_files(source)
    ssh.put_tree(source, SOURCE, files)
    tell = _teller(sum(path.suffix == ".c" for path in files), progress)
    folder = f"/lib/modules/{shlex.quote(release)}/build"
    make = f"make -j$(nproc) -C {folder} M={SOURCE} W=1 modules"
    command = f"{compiler_cache.ENVIRONMENT} {make}"
    return ssh.run(command, timeout=BUILD_LIMIT, on_line=tell)


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
    listed = ssh.run(f"find {SOURCE} -name '*.ko'", timeout=COMMAND_LIMIT)
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

"""Modules that are built already: taken as they are, if they fit the guest's kernel."""

import re
from dataclasses import dataclass
from pathlib import Path

from lab.cache import digest_of
from lab.errors import UsageError
from lab.image import Image

_MAGIC = re.compile(rb"(?:^|\0)vermagic=(\S+)")


@dataclass(frozen=True)
class ReadyModule:
    """Modules by the names of their files; fits `lab.modbuild.BuiltModule` where it is used."""

    contents: tuple[tuple[str, bytes], ...]
    kernel_release: str
    folder: Path
    warnings: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Digest of what they are."""
        parts = (part for name, data in self.contents for part in (name, data))
        return f"{self.kernel_release}-ready-{digest_of(*parts)}"

    @property
    def debug_folder(self) -> Path:
        """Where they lie, perhaps with all their symbols."""
        return self.folder

    def files(self) -> list[tuple[str, bytes]]:
        """The modules to load."""
        return list(self.contents)


def ready_files(paths: tuple[Path, ...]) -> tuple[Path, ...]:
    """The files that the user names, or that lie in a folder that he names; UsageError if none."""
    found: list[Path] = []
    for path in paths:
        found += sorted(path.glob("*.ko")) if path.is_dir() else [path]
    wrong = [str(path) for path in found if path.suffix != ".ko" or not path.is_file()]
    if wrong or not found:
        raise UsageError(
            f"no kernel modules: {', '.join(wrong or map(str, paths))}",
            "name files *.ko with --ko, or a folder that has some",
        )
    return tuple(found)


def ready_module(paths: tuple[Path, ...], image: Image) -> ReadyModule:
    """The modules in these files. UsageError if one is for another kernel than the image's."""
    release = image.facts.kernel_release
    contents = tuple((path.name, path.read_bytes()) for path in paths)
    for name, data in contents:
        found = _MAGIC.search(data)
        told = found[1].decode(errors="replace") if found else "nothing that can be read"
        if told != release:
            raise UsageError(
                f"{name} is built for {told}; the guest's kernel is {release}",
                "build it for that kernel, name another one with --kernel, or give its sources"
                " with --module",
            )
    return ReadyModule(contents, release, paths[0].parent)

"""Places in the kernel's traces as lines of the module's sources.

The kernel writes "chunk_store+0x12/0x90 [blksnap]": a function of a module, an offset in it and its
size. The modules as they were built, with debugging information, say which line of which file that
is, and which functions were inlined there. binutils' readelf and addr2line read it, as the kernel's
own scripts/faddr2line does. Functions of the kernel itself stay as they are: its debugging
information is not there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lab.errors import LabError
from lab.process import run

LIMIT = 60.0
"""Seconds that one run of readelf or addr2line may take; usually it is a fraction of one."""
_REFERENCE = re.compile(
    r"(?P<name>[A-Za-z_][\w.$]*)\+0x(?P<offset>[0-9a-f]+)/0x(?P<size>[0-9a-f]+)"
    r" \[(?P<module>\w+)(?: [0-9a-f]+)?\]"
)
_SECTION = re.compile(r"^\s*\[\s*(\d+)\]\s+(\S+)\s+\S+\s+[0-9a-f]+\s")
_SYMBOL = re.compile(
    r"^\s*\d+:\s+([0-9a-f]+)\s+(\d+|0x[0-9a-f]+)\s+FUNC\s+\S+\s+\S+\s+(\d+)\s(\S+)"
)
_ADDRESS = re.compile(r"^0x[0-9a-f]+$")
_DISCRIMINATOR = re.compile(r" \(discriminator \d+\)$")


@dataclass(frozen=True, slots=True)
class Reference:
    """A place in a module's code; `text` is how the kernel writes it. `exact` if it is the very
    instruction, else it is the one after a call."""

    text: str
    module: str
    name: str
    offset: int
    size: int
    exact: bool

    @property
    def start(self) -> int:
        """Offset of a byte of the instruction that is meant."""
        return self.offset if self.exact or self.offset == 0 else self.offset - 1


@dataclass(frozen=True, slots=True)
class _Symbol:
    name: str
    section: str
    value: int
    size: int


def reference_in(line: str) -> Reference | None:
    """The place in a module that a line of the kernel log names, None if it names none."""
    match = _REFERENCE.search(line)
    if match is None:
        return None
    before = line[: match.start()]
    exact = "RIP:" in before or " at " in before
    offset, size = int(match["offset"], 16), int(match["size"], 16)
    return Reference(match[0], match["module"], match["name"], offset, size, exact)


class Traces:
    """Decodes with the modules of one folder (*.ko with debugging information); None: never.

    What cannot be decoded stays as it is: a report about a broken kernel must not fail here.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._known: dict[Reference, str] = {}
        self._files: dict[str, _Module | None] = {}

    def places(self, lines: Iterable[str]) -> dict[str, str]:
        """File and line of each place that the lines name, by how the kernel writes it."""
        named = list(filter(None, map(reference_in, lines)))
        self._look_up(set(named) - self._known.keys())
        return {place.text: self._known[place] for place in named if self._known[place]}

    def decoded(self, lines: Sequence[str]) -> tuple[str, ...]:
        """The lines; behind each that names a place in a module, file and line."""
        self.places(lines)
        return tuple(map(self._decoded, lines))

    def _decoded(self, line: str) -> str:
        place = reference_in(line)
        text = "" if place is None else self._known[place]
        return f"{line}  {text}" if text else line

    def _look_up(self, wanted: Iterable[Reference]) -> None:
        by_module: dict[str, list[Reference]] = {}
        for place in wanted:
            self._known[place] = ""
            by_module.setdefault(place.module, []).append(place)
        for name, places in by_module.items():
            module = self._module(name)
            if module is not None:
                try:
                    self._known.update(module.decode(places))
                except LabError:
                    self._files[name] = None

    def _module(self, name: str) -> _Module | None:
        if name not in self._files:
            path = None if self._folder is None else self._folder / f"{name}.ko"
            self._files[name] = _Module(path) if path is not None and path.is_file() else None
        return self._files[name]


class _Module:
    """One module's file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @cached_property
    def _symbols(self) -> Mapping[str, list[_Symbol]]:
        """Its functions by name; several may have the same."""
        told = run(["readelf", "--wide", "--sections", "--symbols", str(self._path)], timeout=LIMIT)
        sections: dict[str, str] = {}
        found: dict[str, list[_Symbol]] = {}
        for line in told.splitlines():
            if match := _SECTION.match(line):
                sections[match[1]] = match[2]
            elif match := _SYMBOL.match(line):
                value, size, index, name = match.groups()
                symbol = _Symbol(name, sections.get(index, ""), int(value, 16), int(size, 0))
                found.setdefault(name, []).append(symbol)
        return found

    def decode(self, places: Iterable[Reference]) -> dict[Reference, str]:
        """What could be decoded. Raises CommandFailed and EnvironmentLack."""
        by_section: dict[str, list[tuple[Reference, int]]] = {}
        for place in places:
            for symbol in self._candidates(place):
                address = symbol.value + place.start
                by_section.setdefault(symbol.section, []).append((place, address))
        found: dict[Reference, list[str]] = {}
        for section, wanted in by_section.items():
            addresses = [address for _, address in wanted]
            lines = self._addr2line(section, addresses)
            for (place, _), text in zip(wanted, lines, strict=True):
                found.setdefault(place, []).append(text)
        return {place: " or ".join(dict.fromkeys(texts)) for place, texts in found.items()}

    def _candidates(self, place: Reference) -> list[_Symbol]:
        """The function that is meant; of several of its name those whose size fits best.

        The kernel's size is the distance to the next symbol, so it is that of the function or,
        with what fills the gap, a little more.
        """
        named = [one for one in self._symbols.get(place.name, ()) if place.start < place.size]
        excess = [place.size - one.size for one in named if one.size <= place.size]
        if not excess:
            return named
        return [one for one in named if place.size - one.size == min(excess)]

    def _addr2line(self, section: str, addresses: Sequence[int]) -> list[str]:
        """ "chunk.c:40 > chunk.c:12 (chunk_free)" for each address of a section."""
        told = run(
            ["addr2line", "-e", str(self._path), "-j", section, "-a", "-f", "-i"]
            + [hex(address) for address in addresses],
            timeout=LIMIT,
        )
        groups: list[list[str]] = []
        for line in told.splitlines():
            if _ADDRESS.match(line):
                groups.append([])
            elif groups:
                groups[-1].append(line)
        return [_chain(group) for group in groups]


def _chain(told: Sequence[str]) -> str:
    """From pairs of lines, function and place, innermost first: the place in the function itself,
    then the ones in what was inlined there."""
    (_, outermost), *inlined = reversed(list(zip(told[::2], told[1::2], strict=False)))
    texts = [_short(outermost), *(f"{_short(place)} ({name})" for name, place in inlined)]
    return " > ".join(texts)


def _short(place: str) -> str:
    """The place without the folder that the module was built in."""
    path = _DISCRIMINATOR.sub("", place)
    return path.rpartition("/")[2]

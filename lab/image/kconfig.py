"""Kernel configurations: fragments kept here, put together, and compared with what came of them.

    configs/base.config    what every guest needs
    configs/debug.config   on top of it, and so on

A fragment is in the form of the kernel's own .config. Kconfig drops silently what depends on
something that is missing; here that is an error which names what was lost.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

from lab.errors import LabError

NO = "n"
_SET = re.compile(r"(CONFIG_\w+)=(.+)")
_NOT_SET = re.compile(r"# (CONFIG_\w+) is not set")


class ConfigError(LabError):
    """A fragment is no configuration, or the kernel cannot be configured as it says."""


@dataclass(frozen=True)
class Fragment:
    """A part of a configuration: its name, and its text in the kernel's form."""

    name: str
    text: str

    @property
    def options(self) -> dict[str, str]:
        """Values by option. ConfigError for a line that is none, and for an option set twice."""
        found: dict[str, str] = {}
        for number, line in enumerate(self.text.splitlines(), 1):
            pair = _pair(line)
            if pair is None:
                if line.strip() and not line.startswith("#"):
                    raise ConfigError(f"{self.name}.config:{number}: {line!r} sets no option")
                continue
            if pair[0] in found:
                raise ConfigError(f"{self.name}.config:{number}: {pair[0]} is set twice")
            found[pair[0]] = pair[1]
        return found


def read_fragment(name: str) -> Fragment:
    """A fragment of the lab."""
    file = resources.files("lab.image").joinpath("configs", f"{name}.config")
    return Fragment(name, file.read_text(encoding="utf-8"))


def merge(fragments: Sequence[Fragment]) -> dict[str, str]:
    """All options; of one that several fragments set, what the last one says."""
    merged: dict[str, str] = {}
    for fragment in fragments:
        merged |= fragment.options
    return merged


def config_text(options: Mapping[str, str]) -> str:
    """Options in the kernel's form."""
    lines = (
        f"# {name} is not set" if value == NO else f"{name}={value}"
        for name, value in options.items()
    )
    return "".join(f"{line}\n" for line in lines)


def parse_config(text: str) -> dict[str, str]:
    """Values by option of a complete .config, with those that it says are not set."""
    return dict(pair for line in text.splitlines() if (pair := _pair(line)) is not None)


def lost(wanted: Mapping[str, str], text: str) -> tuple[str, ...]:
    """A line for each option of `wanted` that the .config does not have so."""
    got = parse_config(text)
    return tuple(
        f"{name} should be {value} and is {got.get(name, NO)}"
        for name, value in wanted.items()
        if got.get(name, NO) != value
    )


def refuse_lost(lines: Sequence[str]) -> None:
    """ConfigError if anything was lost."""
    if lines:
        raise ConfigError(
            "the kernel cannot be configured as asked for:\n" + "\n".join(lines),
            "set in the fragments what these depend on (see the kernel's Kconfig files)",
        )


def _pair(line: str) -> tuple[str, str] | None:
    """An option and its value, if the line sets one."""
    if match := _SET.fullmatch(line):
        return match[1], match[2]
    if match := _NOT_SET.fullmatch(line):
        return match[1], NO
    return None

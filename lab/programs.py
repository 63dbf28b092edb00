"""Programs of the host: found, and what installs those that are missing.

The programs that the lab runs, and the Debian packages that hold them, come from
`data/host-programs.txt`, which the set-up script reads as well.
"""

import os
import shutil
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources

from lab.errors import EnvironmentLack

# Administrators' programs, not on every user's path.
SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")


class Need(StrEnum):
    """What misses a program that is not there; extras can be done without."""

    RUNS = "runs"
    TESTS = "tests"
    EXTRAS = "extras"


@dataclass(frozen=True)
class HostProgram:
    """A program the lab runs on the host, the Debian package that holds it, and what for."""

    name: str
    package: str
    need: Need
    purpose: str


def host_programs() -> tuple[HostProgram, ...]:
    """The table of programs that the lab runs on the host."""
    text = resources.files("lab.data").joinpath("host-programs.txt").read_text(encoding="utf-8")
    rows = (line.split(maxsplit=3) for line in text.splitlines())
    return tuple(
        HostProgram(name, package, Need(need), purpose)
        for name, package, need, purpose in filter(None, rows)
        if name != "#"
    )


def path_of(name: str) -> str | None:
    """Path of a program, looked for in the folders of administrators too; None if it is missing."""
    folders = [os.environ.get("PATH", os.defpath), *SBIN]
    return shutil.which(name, path=os.pathsep.join(folders))


def find_program(name: str, package: str | None = None) -> str:
    """Path of a program; EnvironmentLack with the command that installs it if there is none.

    `package` holds it, if the table does not know it.
    """
    path = path_of(name)
    if path is None:
        known = {program.name: program.package for program in host_programs()}
        command = install_command(package or known.get(name, name))
        raise EnvironmentLack(f"{name} is not installed on this machine", f"as root: {command}")
    return path


def missing_programs(*needs: Need) -> list[HostProgram]:
    """The programs of the table, for these needs, that this machine lacks."""
    wanted = [program for program in host_programs() if program.need in needs]
    return [program for program in wanted if path_of(program.name) is None]


def install_command(*packages: str) -> str:
    """The one command that installs these packages."""
    names = " ".join(sorted(set(packages)))
    return f"apt-get update && apt-get install -y --no-install-recommends {names}"


def require_programs() -> None:
    """Raise EnvironmentLack, naming all that is missing, if a program that runs need is."""
    missing = missing_programs(Need.RUNS)
    if missing:
        names = ", ".join(f"{program.name} ({program.purpose})" for program in missing)
        command = install_command(*(program.package for program in missing))
        raise EnvironmentLack(f"not installed on this machine: {names}", f"as root: {command}")

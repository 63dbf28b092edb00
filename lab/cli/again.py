"""The command that runs a scenario again says all that decides how it runs, and no more.

That of a whole run says what is made of its results too. Both can be read back: results that are
kept have them.
"""

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import typer

from lab.cli.chosen import NamesArgument
from lab.cli.groups import differing, grouped, option
from lab.cli.options import SCENARIOS, GuestOptions, ScenariosOption
from lab.cli.run_options import HowOptions, LongOption, ReportOptions
from lab.data import script
from lab.errors import UsageError
from lab.image import DEFAULT_KERNEL


def again(
    guest: GuestOptions, scenarios: Path = SCENARIOS, *, long: bool = False, coverage: bool = False
) -> tuple[str, ...]:
    """The words that run a scenario the same way again, to be followed by its name.

    What has its default is left out. Folders are named from the root, but for that of the script if
    it is the working folder.
    """
    of_checkout = script("scenarios")
    words = [of_checkout] if of_checkout else ["blksnap-lab", "run"]
    words += _words(guest)
    if scenarios != SCENARIOS:
        words += _given("scenarios", scenarios)
    words += ["--long"] if long else []
    return (*words, "--coverage") if coverage else tuple(words)


def of_whole_run(how: HowOptions, report: ReportOptions) -> tuple[str, ...]:
    """The words that only the command of a whole run has; kernels are the runner's to name."""
    of_it_alone = replace(how, kernel=None, coverage=False)
    return (*_words(of_it_alone), *_words(report))


def _words(group: object) -> list[str]:
    """The options of a group that have not their defaults."""
    return [word for name, value in differing(group).items() for word in _given(name, value)]


def _given(name: str, value: object) -> list[str]:
    if value is True:
        return [option(name)]
    several = value if isinstance(value, list) else [value]
    given = [one.resolve() if isinstance(one, Path) else one for one in several]
    return [word for one in given for word in (option(name), str(one))]


@dataclass(frozen=True)
class Asked:
    """What a command of again() asks for, with the kernels and the names that the runner adds."""

    guest: GuestOptions
    how: HowOptions
    report: ReportOptions
    scenarios: Path
    long: bool
    names: tuple[str, ...]

    @property
    def kernel(self) -> str:
        """The kernel, of a command that names one."""
        return (self.how.kernel or [DEFAULT_KERNEL])[-1]


_SCRIPT = ("ci", "scenarios")
_PROGRAM = ["blksnap-lab", "run"]
_MISUSE: Any = typer.BadParameter.__base__
"""What typer raises for words that it cannot read; it has no public name there."""


def asked(command: str) -> Asked:
    """What a command that runs scenarios again asks for. UsageError if it is none of again()'s."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise _strange(command, str(error)) from error
    if words[:1] and Path(words[0]).parts[-2:] == _SCRIPT:
        left = words[1:]
    elif words[:2] == _PROGRAM:
        left = words[2:]
    else:
        raise _strange(command, "it runs no scenarios")
    reader = typer.Typer()
    reader.command(add_help_option=False)(_read)
    typed = typer.main.get_command(reader)
    try:
        with typed.make_context(_PROGRAM[-1], left) as context:
            found: Asked = typed.invoke(context)
            return found
    except _MISUSE as error:
        raise _strange(command, error.format_message()) from error


@grouped
def _read(
    guest: GuestOptions,
    how: HowOptions,
    report: ReportOptions,
    scenarios: ScenariosOption = SCENARIOS,
    long: LongOption = False,
    names: NamesArgument = None,
) -> Asked:
    return Asked(guest, how, report, scenarios, long, tuple(names or ()))


def _strange(command: str, why: str) -> UsageError:
    return UsageError(
        f"not a command that runs a scenario again: {command!r}: {why}",
        "run the scenarios anew: the results are of another lab, or were changed",
    )

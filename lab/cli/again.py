"""The command that runs a scenario again says all that decides how it runs, and no more.

That of a whole run says what is made of its results too. Both can be read back: results that are
kept have them.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from lab.accel import AccelChoice
from lab.cli.options import SCENARIOS, GuestOptions
from lab.cli.run_options import HowOptions, ReportOptions
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
    words += _differing(guest)
    if scenarios != SCENARIOS:
        words += _given("scenarios", scenarios)
    words += ["--long"] if long else []
    return (*words, "--coverage") if coverage else tuple(words)


def of_whole_run(how: HowOptions, report: ReportOptions) -> tuple[str, ...]:
    """The words that only the command of a whole run has; kernels are the runner's to name."""
    return (*_differing(how, but=("kernel", "coverage")), *_differing(report))


def _differing(options: object, but: Sequence[str] = ()) -> list[str]:
    """Options of a group that have not their defaults."""
    words: list[str] = []
    for one in fields(options):  # type: ignore[arg-type]
        value = getattr(options, one.name)
        if one.name not in but and value != one.default:
            words += _given(one.name.replace("_", "-"), value)
    return words


def _given(name: str, value: object) -> list[str]:
    if value is True:
        return [f"--{name}"]
    several = value if isinstance(value, list) else [value]
    given = [one.resolve() if isinstance(one, Path) else one for one in several]
    return [word for one in given for word in (f"--{name}", str(one))]


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
_FLAGS = {"long", "coverage", "keep-failed"}


def asked(command: str) -> Asked:
    """What a command that runs scenarios again asks for. UsageError if it is none of again()'s."""
    words = shlex.split(command)
    if words[:1] and Path(words[0]).parts[-2:] == _SCRIPT:
        left = words[1:]
    elif words[:2] == _PROGRAM:
        left = words[2:]
    else:
        raise UsageError(f"not a command that runs a scenario again: {command!r}")
    groups = (GuestOptions, HowOptions, ReportOptions)
    known = {one.name for group in groups for one in fields(group)} | {"scenarios"}
    given: dict[str, list[str]] = {}
    flags: set[str] = set()
    names: list[str] = []
    while left:
        word, _, value = left.pop(0).partition("=")
        option = word.removeprefix("--")
        if not word.startswith("--"):
            names.append(word)
        elif option in _FLAGS:
            flags.add(option)
        elif option not in known or not (value or left):
            raise UsageError(f"option {word} of {command!r} is not known")
        else:
            given.setdefault(option, []).append(value or left.pop(0))
    last = {name: values[-1] for name, values in given.items()}
    return Asked(
        guest=_guest(given, last),
        how=HowOptions(
            kernel=given.get("kernel"),
            jobs=int(last["jobs"]) if "jobs" in last else None,
            repeat=int(last.get("repeat", 1)),
            keep_failed="keep-failed" in flags,
            coverage="coverage" in flags,
        ),
        report=ReportOptions(
            junit=_path(last, "junit"),
            jsonl=_path(last, "jsonl"),
            html=_path(last, "html"),
            slowest=int(last["slowest"]) if "slowest" in last else None,
        ),
        scenarios=_path(last, "scenarios") or SCENARIOS,
        long="long" in flags,
        names=tuple(names),
    )


def _guest(given: dict[str, list[str]], last: dict[str, str]) -> GuestOptions:
    default = GuestOptions()
    return GuestOptions(
        module=_path(last, "module") or default.module,
        ko=[Path(one) for one in given["ko"]] if "ko" in given else None,
        flavour=_path(last, "flavour"),
        memory=last.get("memory", default.memory),
        cpus=int(last.get("cpus", default.cpus)),
        accel=AccelChoice(last.get("accel", default.accel)),
    )


def _path(last: dict[str, str], name: str) -> Path | None:
    return Path(last[name]) if name in last else None

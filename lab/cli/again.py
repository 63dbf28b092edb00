"""The command that runs a scenario again says all that decides how it runs, and no more.

It can be read back: results that are kept have it.
"""

import shlex
from dataclasses import dataclass, fields
from pathlib import Path

from lab.accel import AccelChoice
from lab.cli.options import SCENARIOS, GuestOptions
from lab.data import checkout
from lab.errors import UsageError
from lab.image import DEFAULT_KERNEL


def again(
    guest: GuestOptions, scenarios: Path = SCENARIOS, *, long: bool = False
) -> tuple[str, ...]:
    """The words that run a scenario the same way again, to be followed by its name.

    What has its default is left out. Folders are named from the root, as the script works in the
    folder of the checkout.
    """
    words = ["ci/scenarios"] if checkout() else ["blksnap-lab", "run"]
    for one in fields(guest):
        value = getattr(guest, one.name)
        if value != one.default:
            words += _given(one.name, value)
    if scenarios != SCENARIOS:
        words += _given("scenarios", scenarios)
    return (*words, "--long") if long else tuple(words)


def _given(name: str, value: object) -> list[str]:
    several = value if isinstance(value, list) else [value]
    given = [one.resolve() if isinstance(one, Path) else one for one in several]
    return [word for one in given for word in (f"--{name}", str(one))]


@dataclass(frozen=True)
class Asked:
    """What a command of again() asks for, with the kernel and the names that the runner adds."""

    guest: GuestOptions
    kernel: str
    scenarios: Path
    long: bool
    coverage: bool
    names: tuple[str, ...]


_BEFORE = (["ci/scenarios"], ["blksnap-lab", "run"])
_OURS = {"scenarios", "kernel"}


def asked(command: str) -> Asked:
    """What a command that runs scenarios again asks for. UsageError if it is none of again()'s."""
    words = shlex.split(command)
    before = next((one for one in _BEFORE if words[: len(one)] == one), None)
    if before is None:
        raise UsageError(f"not a command that runs a scenario again: {command!r}")
    left = words[len(before) :]
    known = {one.name for one in fields(GuestOptions)} | _OURS
    given: dict[str, list[str]] = {}
    flags: set[str] = set()
    names: list[str] = []
    while left:
        word, _, value = left.pop(0).partition("=")
        option = word.removeprefix("--")
        if not word.startswith("--"):
            names.append(word)
        elif option in ("long", "coverage"):
            flags.add(option)
        elif option not in known or not (value or left):
            raise UsageError(f"option {word} of {command!r} is not known")
        else:
            given.setdefault(option, []).append(value or left.pop(0))
    return Asked(
        guest=_guest(given),
        kernel=given.get("kernel", [DEFAULT_KERNEL])[-1],
        scenarios=Path(given.get("scenarios", [str(SCENARIOS)])[-1]),
        long="long" in flags,
        coverage="coverage" in flags,
        names=tuple(names),
    )


def _guest(given: dict[str, list[str]]) -> GuestOptions:
    default = GuestOptions()
    last = {name: values[-1] for name, values in given.items()}
    return GuestOptions(
        module=Path(last["module"]) if "module" in last else default.module,
        ko=[Path(one) for one in given["ko"]] if "ko" in given else None,
        flavour=Path(last["flavour"]) if "flavour" in last else None,
        memory=last.get("memory", default.memory),
        cpus=int(last.get("cpus", default.cpus)),
        accel=AccelChoice(last.get("accel", default.accel)),
    )

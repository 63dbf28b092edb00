"""The command that runs a scenario again says all that decides how it runs, and no more."""

from dataclasses import fields
from pathlib import Path

from lab.cli.options import SCENARIOS, GuestOptions
from lab.data import checkout


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

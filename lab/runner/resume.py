"""A run that ended before its end, and goes on: what it had come to, and whether it still can.

Its verdicts are worth something together only if they are of the same thing. So a run begins with
digests of what decides them (`basis_of`), and tells of its guests what they are made of; it goes on
only with the very same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path

from lab.cache import digest_of
from lab.errors import UsageError
from lab.guest.identity import differences
from lab.guest.settings import GuestSettings
from lab.modbuild import source_files
from lab.runner.folder import RunFolder
from lab.runner.verdict import ScenarioResult
from lab.scenario.scenario import Scenario

# What of the lab has a part in a verdict, beside the modules at its top.
_JUDGING = (
    *("agent", "bench", "blksnap", "crash", "data", "guest", "image"),
    *("model", "runner", "scenario", "tap"),
)
_SOURCES = {".py", ".c", ".h"}
# Links to them lie in lab/data; they have digests of their own.
_ELSEWHERE = {"guest_module", "scenarios"}
_NAMED = 3
"""So many scenarios are named of those that have changed."""
_WORDS = {"kernel_release": "kernel", "image": "guest's image", "command_line": "guest's machine"}
REMEDY = (
    "put that back as it was, or begin anew, without --resume: {folder}/command.txt has the command"
)


@dataclass(frozen=True)
class Earlier:
    """What a run that goes on had come to.

    began: seconds since the epoch. duration: seconds that it was under way. guests: what those of
    each kernel were made of, see GuestReady; of kernels that it came to.
    """

    folder: RunFolder
    began: float
    duration: float
    results: tuple[ScenarioResult, ...]
    guests: Mapping[str, Mapping[str, str]]

    def check_guest(self, kernel: str, facts: Mapping[str, str]) -> None:
        """UsageError if the guests of a kernel are made of something else now."""
        before = self.guests.get(kernel)
        if before is not None:
            changed = differences(_essence(before), _essence(facts))
            refuse_changed(
                self.folder.path, [f"the {_WORDS.get(one, one)} on {kernel}" for one in changed]
            )


def basis_of(scenarios: Iterable[Scenario], guest: GuestSettings) -> dict[str, str]:
    """Digests of what decides the verdicts of a run, by what it is in words; without any guest."""
    return {
        "the module": _module_digest(guest),
        "the lab": lab_digest(),
        **{f"{_SCENARIO}{one.name}": digest_of(one.name, one.source) for one in scenarios},
    }


_SCENARIO = "scenario "


def check_basis(folder: Path, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """UsageError that names what has changed since a run began."""
    if not before:
        raise UsageError(
            f"the run in {folder} does not say what it tested: it is an older lab's",
            f"begin anew: {folder}/command.txt has the command",
        )
    refuse_changed(folder, differences(before, now))


def refuse_changed(folder: Path, changed: Sequence[str]) -> None:
    """UsageError if something has changed since a run began."""
    if changed:
        named = [one for one in changed if not one.startswith(_SCENARIO)]
        texts = [one for one in changed if one.startswith(_SCENARIO)]
        told = [*named, *texts[:_NAMED]]
        told += [f"{len(texts) - _NAMED} other scenarios"] if len(texts) > _NAMED else []
        raise UsageError(
            f"the run in {folder} cannot go on, as this has changed since: {', '.join(told)}",
            REMEDY.format(folder=folder),
        )


def _essence(facts: Mapping[str, str]) -> dict[str, str]:
    """What guests are made of, but for what tells two installations of one QEMU apart."""
    return {**facts, "qemu": facts.get("qemu", "").partition(";")[0]}


def _module_digest(guest: GuestSettings) -> str:
    """Of sources or ready modules, and of the names that it has."""
    parts: list[str | bytes] = [json.dumps(asdict(guest.flavour), sort_keys=True)]
    for path in guest.ready:
        parts += [path.name, path.read_bytes()]
    if guest.module is not None:
        for path in source_files(guest.module):
            parts += [path.relative_to(guest.module).as_posix(), path.read_bytes()]
    return digest_of(*parts)


def lab_digest() -> str:
    """Of all that has a part in a verdict."""
    parts: list[str | bytes] = []
    with resources.as_file(resources.files("lab")) as top:
        folders = [path for name in _JUDGING for path in (top / name).rglob("*")]
        for path in sorted([*top.glob("*.py"), *folders]):
            inside = path.relative_to(top)
            if path.suffix in _SOURCES and not _ELSEWHERE & {*inside.parts}:
                parts += [inside.as_posix(), path.read_bytes()]
    return digest_of(*parts)

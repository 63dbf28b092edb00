"""The list of mutants, and the module's sources with one of them in place.

It is data: guest_module/test/mutants.yaml. Each replaces a text that is there exactly once, so that
the list cannot go stale unnoticed.
"""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from lab.errors import UsageError
from lab.modbuild import source_files

LIST = "test/mutants.yaml"
"""Where a module's list is, below its folder."""


class Mutant(BaseModel):
    """One mistake. `was` is in the file exactly once; `now` takes its place.

    breaks: what it does to users. rules: those of the contract, and traps, that it breaks.
    scenarios: those that should notice, the quickest first. survives: why none of them can on
    the kernel that is usual; empty if one must.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    file: str = Field(pattern=r"^[\w-]+\.[ch]$")
    was: str = Field(min_length=1)
    now: str
    breaks: str = Field(min_length=10)
    rules: tuple[str, ...] = ()
    scenarios: tuple[str, ...] = Field(min_length=1)
    survives: str = ""


def load_mutants(path: Path) -> tuple[Mutant, ...]:
    """The mutants of a list. Raises UsageError with what is wrong with it."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        mutants = TypeAdapter(tuple[Mutant, ...]).validate_python(data)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", f"see {LIST} of our module"
        ) from error
    except (yaml.YAMLError, ValidationError) as error:
        raise UsageError(f"{path} is no list of mutants: {error}") from error
    twice = [name for name, count in Counter(one.id for one in mutants).items() if count > 1]
    if twice:
        raise UsageError(f"{path}: there are several mutants with the id {', '.join(twice)}")
    return mutants


def choose(mutants: tuple[Mutant, ...], wanted: tuple[str, ...]) -> tuple[Mutant, ...]:
    """Those of the ids or files that are asked for; all if none is. UsageError for unknown ones."""
    unknown = [one for one in wanted if not any(one in (m.id, m.file) for m in mutants)]
    if unknown:
        raise UsageError(
            f"there is no mutant, and no file with mutants, {', '.join(unknown)}",
            "`blksnap-lab mutate --list` shows them",
        )
    return tuple(m for m in mutants if not wanted or m.id in wanted or m.file in wanted)


def make_tree(source: Path, target: Path, mutant: Mutant | None) -> Path:
    """Copy the sources of a module to a new folder, with the mutant in place; returns `target`.

    Raises UsageError if the text that the mutant replaces is not there exactly once.
    """
    for path in source_files(source):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    if mutant is not None:
        file = target / mutant.file
        text = file.read_text(encoding="utf-8") if file.is_file() else ""
        if (count := text.count(mutant.was)) != 1:
            raise UsageError(
                f"mutant {mutant.id}: its text is in {mutant.file} {count} times, not once",
                f"mend `was` in the module's {LIST}",
            )
        file.write_text(text.replace(mutant.was, mutant.now), encoding="utf-8")
    return target

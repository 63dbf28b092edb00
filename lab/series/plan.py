"""Which patches a series has: data, in guest_module/kernel/series.yaml.

author: who sends it        date: when, as in a mail
kernels: releases that it is for; a folder for each, with edits/*.diff
driver: the folder of the driver in the tree
patches: a list of
  subject, message: of the mail
  edits: name of the changes to files of the tree, edits/NAME.diff of a release
  files: new files of the tree, and what they are made of, relative to the module's folder
  driver: patterns of files of the driver
"""

from dataclasses import dataclass, field
from pathlib import Path

import yaml

from lab.errors import LabError

FOLDER = "kernel"
FILE = "series.yaml"


@dataclass(frozen=True)
class PatchPlan:
    """One patch; see above."""

    subject: str
    message: str
    edits: str = ""
    files: dict[str, str] = field(default_factory=dict)
    driver: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """A series; see above."""

    author: str
    date: str
    kernels: tuple[str, ...]
    driver: str
    patches: tuple[PatchPlan, ...]


def read_plan(module: Path) -> Plan:
    """The series of a module's folder. LabError if its file cannot be understood."""
    path = module / FOLDER / FILE
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
        patches = tuple(
            PatchPlan(**{**one, "driver": tuple(one.get("driver", ()))})
            for one in loaded.pop("patches")
        )
        kernels = tuple(loaded.pop("kernels"))
        return Plan(**loaded, kernels=kernels, patches=patches)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise LabError(f"{path} cannot be read: {error}") from error
    except (AttributeError, KeyError, TypeError) as error:
        raise LabError(f"{path} is no plan of a series: {error}") from error

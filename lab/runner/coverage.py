"""How often the module's branches were taken, read from the guest and kept with the results.

Counters live as long as the guest's kernel does, so they are read before it ends: when the scenario
is over, and before its power is cut. Each boot gives a file, coverage-1.z and so on, deflated; what
is in it says lab/data/coverage. Reading them is the business of lab.coverage.
"""

from __future__ import annotations

import base64
from pathlib import Path

from lab import instrument
from lab.modbuild import BuiltModule
from lab.runner.context import Context
from lab.runner.folder import Folder
from lab.runner.ports import Template

LIMIT = 60.0


def notes(template: Template) -> Path | None:
    """The archive for the reading of its module's counters, if it counts."""
    module = template.module
    return module.coverage_notes if isinstance(module, BuiltModule) else None


def notes_name(kernel: str) -> str:
    """Under what name the archive is kept in the folder of a run."""
    return f"coverage-{kernel}.tar.gz"


def keep_notes(template: Template, kernel: str, folder: Folder) -> None:
    """Keep the archive with the results: the cache may forget it."""
    archive = notes(template)
    if archive is not None:
        folder.write_bytes(notes_name(kernel), archive.read_bytes())


def load(context: Context) -> None:
    """Load the keeper of counters, if the module counts, and this boot has not got it yet."""
    if not context.counts:
        return
    if not context.request("module_info", {"name": instrument.KEEPER})["loaded"]:
        path = f"{context.guest.module_dir}/{instrument.KEEPER}.ko"
        context.request("module_load", {"path": path}, LIMIT)
        context.boots += 1


def save(context: Context) -> None:
    """Keep what was counted in this boot so far."""
    if not context.counts or not context.powered or not context.boots:
        return
    answer = context.request("coverage", limit=LIMIT)
    content = base64.b64decode(answer["deflated"])
    context.folder.write_bytes(f"coverage-{context.boots}.z", content)

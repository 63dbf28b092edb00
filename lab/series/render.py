"""A series, made of the module's folder: its sources, the plan, and the edits of a release."""

import re
from fnmatch import fnmatch
from pathlib import Path

from lab.errors import LabError
from lab.series.mail import Change, edits, mail, new_file
from lab.series.plan import FILE, FOLDER, PatchPlan, Plan, read_plan
from lab.series.release import for_release, parse_release
from lab.series.tree import driver_files, source_text


def has_series(module: Path) -> bool:
    """Whether a module's folder has a plan of a series."""
    return (module / FOLDER / FILE).is_file()


def render_series(module: Path, kernel: str) -> dict[str, str]:
    """The patches for a kernel release, e.g. "6.1", by the names of their files, in order.

    LabError if a file of the driver is in no patch, or in two, or a source is not there.
    """
    plan = read_plan(module)
    driver = driver_files(module, parse_release(kernel))
    shares = _shares(plan, list(driver))
    series: dict[str, str] = {}
    for number, (patch, names) in enumerate(zip(plan.patches, shares, strict=True), 1):
        changes = [new_file(f"{plan.driver}/{name}", driver[name]) for name in names]
        changes += _others(module, patch, kernel)
        headers = {
            "From": plan.author,
            "Date": plan.date,
            "Subject": f"[PATCH {number:02}/{len(plan.patches):02}] {patch.subject}",
        }
        series[_file_name(number, patch.subject)] = mail(headers, patch.message, changes)
    return series


def _others(module: Path, patch: PatchPlan, kernel: str) -> list[Change]:
    """What a patch changes outside of the driver's folder."""
    changes = [
        new_file(name, for_release(source_text(module / source), parse_release(kernel)))
        for name, source in patch.files.items()
    ]
    if patch.edits:
        changes += edits(source_text(module / FOLDER / kernel / "edits" / f"{patch.edits}.diff"))
    return changes


def _shares(plan: Plan, names: list[str]) -> list[list[str]]:
    """The files of the driver by patch: each in exactly one."""
    shares = [
        [name for name in names if any(fnmatch(name, one) for one in patch.driver)]
        for patch in plan.patches
    ]
    counts = {name: sum(name in share for share in shares) for name in names}
    wrong = [f"{name} is in {count} patches" for name, count in counts.items() if count != 1]
    unused = [
        f"no file is {one}"
        for patch in plan.patches
        for one in patch.driver
        if not any(fnmatch(name, one) for name in names)
    ]
    if wrong or unused:
        remedy = f"see `driver` of the patches in {FOLDER}/{FILE}: each file once"
        raise LabError("\n".join([*wrong, *unused]), remedy)
    return shares


def _file_name(number: int, subject: str) -> str:
    """0003-blksnap-map-of-changed-blocks.patch"""
    words = re.sub(r"[^A-Za-z0-9]+", "-", subject).strip("-")
    return f"{number:04}-{words}.patch"

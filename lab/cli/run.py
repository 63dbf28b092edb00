"""`run`: the main job."""

import glob
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from lab.cache import Cache
from lab.cli.again import again, asked, of_whole_run
from lab.cli.groups import differing, grouped, option
from lab.cli.options import GuestOptions, load_folder
from lab.cli.run_options import HowOptions, ReportOptions, WhichOptions
from lab.errors import UsageError
from lab.guest.prepare import lacking, prepare
from lab.guest.settings import GuestSettings
from lab.host import fitting_jobs, total_memory
from lab.image import Recipe, kernel_named, kernel_names
from lab.programs import require_programs
from lab.progress import ProgressSink
from lab.report.junit import write_empty
from lab.report.stored import StoredRun, read_run
from lab.runner.engine import RunSettings, run
from lab.runner.folder import make_results, mend_last_line, old_run_folder
from lab.runner.guests import kind_of
from lab.runner.ports import Prepare, Template
from lab.runner.resume import Earlier, basis_of, check_basis, refuse_changed
from lab.runner.selection import Selection
from lab.scenario.scenario import Scenario
from lab.units import MIB, format_size

RESULTS = Path("results")


@dataclass(frozen=True)
class WhereOptions:
    """Where results go."""

    results: Annotated[
        Path, typer.Option("--results", metavar="DIR", help="Gets a folder for each run.")
    ] = RESULTS
    resume: Annotated[
        Path | None,
        typer.Option(
            "--resume",
            metavar="DIR",
            help="Go on with the run in this folder, e.g. results/latest, as it was begun.",
        ),
    ] = None


@grouped
def run_command(
    which: WhichOptions,
    guest: GuestOptions,
    where: WhereOptions,
    report: ReportOptions,
    how: HowOptions,
) -> None:
    """Run scenarios, each in a fresh guest, and print a verdict for each, kernel by kernel.

    Builds first what is not in the cache: guest image, module, template. A run that was ended goes
    on with --resume.
    """
    report.require_files()
    if where.resume is not None:
        _refuse_others(which, guest, replace(where, resume=None), how)
        _go_on(where.resume, report)
    chosen = which.chosen()
    if not chosen:
        if report.junit is not None:
            write_empty(report.junit)
        return
    guest_settings = replace(guest.settings(), coverage=how.coverage)
    kernels = kernel_names(how.kernel or ())
    settings = RunSettings(
        results=where.results,
        command=again(guest, which.scenarios, long=which.long, coverage=how.coverage),
        options=of_whole_run(how, report),
        kernels=kernels,
        jobs=how.jobs if how.jobs is not None else _fitting(chosen, kernels, guest_settings),
        cpus=guest.cpus,
        repeat=how.repeat,
        keep_failed=how.keep_failed,
        basis=basis_of(chosen, guest_settings),
        long=which.long,
    )
    _run(chosen, settings, report, guest_settings)


def _run(
    chosen: Sequence[Scenario],
    settings: RunSettings,
    report: ReportOptions,
    guest: GuestSettings,
    earlier: Earlier | None = None,
) -> None:
    """Run, and end with the exit status."""
    if earlier is None:
        make_results(settings.results)
    require_programs()
    Cache().require()
    settings = replace(settings, to_make=_to_make(chosen, settings.kernels, guest))
    result = run(chosen, settings, report.listeners(), _prepare(guest), earlier)
    raise typer.Exit(int(result.exit_status))


def _go_on(path: Path, report: ReportOptions) -> None:
    """Go on with a run, with the options that it was begun with.

    UsageError if it is none, is under way, or would be one of something else now.
    """
    if path.is_symlink():
        path = path.parent / path.readlink()  # results/latest: soon it may be another run's
    read_run(path)
    folder = old_run_folder(path)
    # Only now nobody writes there any more.
    mend_last_line(path / "events.jsonl")
    before = read_run(path)
    wanted = asked(before.command)
    report = _both(wanted.report, report)
    report.require_files()
    names = Selection(tuple(map(glob.escape, before.names)))
    known = load_folder(wanted.scenarios, long=wanted.long, wanted=names)
    chosen = _same_scenarios(before, known)
    guest = replace(wanted.guest.settings(), coverage=wanted.how.coverage)
    basis = basis_of(chosen, guest)
    check_basis(path, before.basis, basis)
    settings = RunSettings(
        results=path.parent,
        command=again(
            wanted.guest, wanted.scenarios, long=wanted.long, coverage=wanted.how.coverage
        ),
        options=of_whole_run(wanted.how, wanted.report),
        kernels=before.kernels,
        jobs=before.jobs,
        cpus=guest.cpus,
        repeat=before.repeat,
        keep_failed=wanted.how.keep_failed,
        basis=basis,
        long=wanted.long,
    )
    results = tuple(one.result() for one in before.scenarios)
    earlier = Earlier(folder, before.started, before.duration, results, before.facts)
    _run(chosen, settings, report, guest, earlier)


def _same_scenarios(before: StoredRun, known: Sequence[Scenario]) -> list[Scenario]:
    """The scenarios of a run, in its order. UsageError if one is not there any more."""
    by_name = {one.name: one for one in known}
    gone = [f"scenario {name} (gone)" for name in before.names if name not in by_name]
    refuse_changed(before.folder, gone)
    return [by_name[name] for name in before.names]


def _both(before: ReportOptions, now: ReportOptions) -> ReportOptions:
    """What was asked for when the run was begun, and what is now."""
    return replace(before, **differing(now))


def _refuse_others(*groups: object) -> None:
    """UsageError for options that a run that goes on has already."""
    given = {name: value for group in groups for name, value in differing(group).items()}
    told = [*given.pop("names", ()), *map(option, given)]
    if told:
        raise UsageError(
            f"{', '.join(told)}: a run goes on as it was begun",
            "leave out what it has with --resume",
        )


def _prepare(settings: GuestSettings) -> Prepare:
    """What makes the templates of these guests, kernel by kernel."""

    def make(
        progress: ProgressSink, name: str, memory: int | None, *, icount: bool = False
    ) -> Template:
        return prepare(_guest(settings, name, memory, icount=icount), progress)

    return make


def _to_make(
    chosen: Sequence[Scenario], kernels: Sequence[str], settings: GuestSettings
) -> tuple[str, ...]:
    """What the guests of the scenarios lack; see RunStarted."""
    found = {
        f"{stage} {guest.recipe.kernel.name}": None
        for guest in _guests(chosen, kernels, settings)
        for stage in lacking(guest)
    }
    return tuple(found)


def _fitting(chosen: Sequence[Scenario], kernels: Sequence[str], settings: GuestSettings) -> int:
    """How many guests of the scenarios fit this machine at a time, the largest ones too."""
    return fitting_jobs(max(one.machine_memory for one in _guests(chosen, kernels, settings)))


def _guests(
    chosen: Sequence[Scenario], kernels: Sequence[str], settings: GuestSettings
) -> list[GuestSettings]:
    """All guests that the scenarios need, each once, kernel by kernel.

    UsageError for one that this machine cannot have.
    """
    more = max(kernel_named(kernel).more_memory for kernel in kernels)
    for one in chosen:
        if one.memory is not None and one.memory + more > total_memory():
            raise UsageError(
                f"scenario {one.name} needs {format_size(one.memory + more)} of memory:"
                f" this machine has {total_memory() // MIB}MiB",
                "run the others, or let it have less",
            )
    kinds = dict.fromkeys(map(kind_of, chosen))
    return [
        _guest(settings, kernel, memory, icount=icount)
        for kernel in kernels
        for memory, icount in kinds
    ]


def _guest(
    settings: GuestSettings, kernel: str, memory: int | None, *, icount: bool
) -> GuestSettings:
    """The guest of a kind of scenarios; see lab.runner.guests."""
    recipe = Recipe(kernel_named(kernel))
    guest = replace(settings, recipe=recipe, memory=memory or settings.memory)
    return guest.counting() if icount else guest

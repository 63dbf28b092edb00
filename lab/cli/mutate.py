"""`mutate`: the module broken on purpose; do the scenarios notice?"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from lab.accel import AccelChoice
from lab.cache import Cache
from lab.cli.options import (
    MODULE,
    SCENARIOS,
    AccelOption,
    GuestOptions,
    JsonOption,
    KernelOption,
    ModuleOption,
    ScenariosOption,
    load_folder,
    require_sources,
)
from lab.cli.progress import ProgressLine
from lab.errors import UsageError
from lab.guest.prepare import prepare
from lab.image import DEFAULT_KERNEL, prepare_kernel
from lab.mutate.judgement import GOOD, Fate, Judged, Score, fate_of, score_of, scores
from lab.mutate.mutants import LIST, Mutant, choose, load_mutants
from lab.mutate.records import Outcome, Record, Records
from lab.mutate.session import Ending, Plan, run_mutants, used_scenarios
from lab.mutate.workshop import Workshop
from lab.programs import require_programs
from lab.report.wording import short
from lab.runner.folder import make_results
from lab.runner.verdict import ExitStatus
from lab.static import compiler_toolbox

RECORDS = "mutants.jsonl"
_AS_IT_IS = {
    Outcome.SURVIVED: "green",
    Outcome.KILLED: "red",
    Outcome.INVALID: "invalid",
    Outcome.UNCLEAR: "unclear",
}


def mutate_command(
    only: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID|FILE", help="Mutants, or files with mutants. All if none."),
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="Show them, and try none.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Try those again that have a result.")] = (
        False
    ),
    as_json: JsonOption = False,
    module: ModuleOption = MODULE,
    scenarios: ScenariosOption = SCENARIOS,
    kernel: KernelOption = DEFAULT_KERNEL,
    accel: AccelOption = AccelChoice.AUTO,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=1, metavar="N", help="Guests at a time.")
    ] = 1,
    results: Annotated[
        Path, typer.Option("--results", metavar="DIR", help="Keeps results, to go on from.")
    ] = Path("results/mutants"),
) -> None:
    """Break the module in known ways, one at a time, and see which scenarios notice.

    The mutants are in the module's test/mutants.yaml. They are built on this host, as `static`
    does; each is killed by the first of its scenarios that is red, and is green with the module as
    it is. Results are kept, so that a second run goes on where the first one ended. What the list
    says of survivors is said of the usual kernel; one that looks for races may kill them.
    """
    require_sources(module)
    mutants = choose(load_mutants(module / LIST), tuple(only or ()))
    used = used_scenarios(mutants, load_folder(scenarios))
    if listed:
        _show_list(mutants, as_json)
        return
    settings = replace(GuestOptions(module=module, accel=accel).settings(kernel), module=None)
    if settings.recipe.kernel.has_module_built_in:
        raise UsageError(
            f"{kernel} has the module built in, so none can be put in its place",
            "name another kernel: `blksnap-lab image list` has them",
        )
    make_results(results)
    require_programs()
    cache = Cache()
    with ProgressLine() as progress:
        sizes = dict.fromkeys([None, *(one.memory for one in used.values())])
        templates = {
            size: prepare(replace(settings, memory=size or settings.memory), progress, cache)
            for size in sizes
        }
        wanted = settings.recipe.kernel
        built = prepare_kernel(wanted, cache, progress) if wanted.source else None
        toolbox = compiler_toolbox(wanted, cache, progress)
    plan = Plan(mutants, used, module, templates, results, jobs, kernel)
    records = Records(results / RECORDS, fresh=fresh)
    with cache.scratch("workshop") as folder:
        workshop = Workshop(toolbox, templates[None].image, folder, built)
        tell = _silent if as_json else _tell
        ending = run_mutants(plan, records, workshop.build, tell)
    judged = [fate_of(one, ending.records.get(one.id), ending.as_it_is, kernel) for one in mutants]
    _show(judged, ending, kernel, as_json)
    if not all(one.fate in GOOD for one in judged):
        raise typer.Exit(ExitStatus.NOT_ALL_PASSED)


def _show_list(mutants: tuple[Mutant, ...], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([one.model_dump() for one in mutants], indent=2))
        return
    for one in mutants:
        typer.echo(f"{one.id:<36} {one.file:<20} {one.breaks}")
        typer.echo(f"{'':<36} {' '.join(one.rules):<20} {', '.join(one.scenarios)}")
        if one.survives:
            typer.echo(f"{'':<36} {'survives':<20} {one.survives}")


def _silent(_record: Record, _number: int, _total: int) -> None:
    """JSON comes at the end, all at once."""


def _tell(record: Record, number: int, total: int) -> None:
    """A line for each trial that has ended."""
    outcome, name = str(record.outcome), record.mutant
    if not name:
        outcome, name = _AS_IT_IS[record.outcome], "the module as it is"
    seen = f"{record.scenario} {record.verdict}".strip()
    line = f"{number:>3}/{total} {outcome:<9} {name:<36} {record.seconds:>6.1f} s  {seen}"
    typer.echo(f"{line}: {short(record.reason, 100)}" if record.reason else line)


def _show(judged: list[Judged], ending: Ending, kernel: str, as_json: bool) -> None:
    if as_json:
        typer.echo(
            json.dumps([{**_plain(one, ending), "kernel": kernel} for one in judged], indent=2)
        )
        return
    typer.echo("")
    rows = [*scores(judged), score_of("all", judged)]
    fates = [fate for fate in Fate if fate in GOOD or rows[-1].fates[fate]]
    typer.echo(f"{'file':<20}{'mutants':>9}" + "".join(f"{fate:>11}" for fate in fates))
    for row in rows:
        typer.echo(_row(row, fates))
    for one in judged:
        if one.fate is not Fate.KILLED:
            typer.echo(f"\n{one.fate}: {one.mutant.id} ({one.mutant.file}): {one.mutant.breaks}")
            typer.echo(f"  {one.why}")
    good = sum(one.fate in GOOD for one in judged)
    told = "green" if good == len(judged) else "NOT GREEN"
    typer.echo(f"\n{told}: {good} of {len(judged)}, kernel {kernel}")
    if ending.interrupted:
        typer.echo("interrupted; the same command goes on from here")


def _row(score: Score, fates: list[Fate]) -> str:
    counts = "".join(f"{score.fates[fate] or '':>11}" for fate in fates)
    return f"{score.name:<20}{score.total:>9}{counts}".rstrip()


def _plain(one: Judged, ending: Ending) -> dict[str, object]:
    """A mutant's fate as JSON has it."""
    record = ending.records.get(one.mutant.id)
    return {
        "id": one.mutant.id,
        "file": one.mutant.file,
        "breaks": one.mutant.breaks,
        "rules": list(one.mutant.rules),
        "fate": str(one.fate),
        "why": one.why,
        "scenario": record.scenario if record else "",
        "verdict": record.verdict if record else "",
        "seconds": record.seconds if record else 0.0,
    }

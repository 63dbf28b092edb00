"""`coverage`: which lines of the module the scenarios of a run reach."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from lab.cli.options import MODULE, ModuleOption, require_file
from lab.cli.progress import ProgressLine
from lab.coverage.lcov import lcov
from lab.coverage.lines import BRANCHES_WANTED, LINES_WANTED, Place, Reached
from lab.coverage.page import page
from lab.coverage.patch import changed_lines
from lab.coverage.reasons import LIST, Judgement, judge, load_reasons
from lab.coverage.stored import RunCoverage, joined, read_coverage
from lab.errors import UsageError
from lab.report.html import write_page
from lab.report.stored import read_run
from lab.runner.verdict import ExitStatus


def coverage_command(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="RUN", help="Folders of runs, results/latest if none."),
    ] = None,
    kernel: Annotated[
        str | None,
        typer.Option("--kernel", "-k", metavar="NAME", help="Of which kernel; the first if none."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="The sources as a page here.")
    ] = None,
    tracefile: Annotated[
        Path | None, typer.Option("--lcov", metavar="FILE", help="What lcov's tools read here.")
    ] = None,
    uncovered: Annotated[
        bool, typer.Option("--uncovered", help="Show what no scenario reaches, with reasons.")
    ] = False,
    line: Annotated[
        str | None,
        typer.Option("--line", metavar="FILE:LINE", help="Only: which scenarios reach a line."),
    ] = None,
    diff: Annotated[
        str | None,
        typer.Option("--diff", metavar="REV", help="Only: lines that are not in this revision."),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="A line that no scenario reaches, and has no reason, is a failure; so is a"
            f" reason that does not fit, and less than {LINES_WANTED:.0f} % of all lines or"
            f" {BRANCHES_WANTED:.0f} % of all branches."
            " For a run of all scenarios.",
        ),
    ] = False,
    module: ModuleOption = MODULE,
) -> None:
    """Tell how much of the module a run with `--coverage` has reached, file by file.

    Why some lines cannot be reached is in the module's test/unreached.yaml.
    """
    place = _place(line) if line is not None else None
    require_file("--html", html)
    require_file("--lcov", tracefile)
    with ProgressLine() as progress:
        chosen = [read_run(run) for run in runs or [Path("results/latest")]]
        found = joined([read_coverage(run, kernel, progress) for run in chosen])
    if place is not None:
        _show_line(found, place)
        return
    judgement = judge(found.total, found.sources, load_reasons(module / LIST))
    if html is not None:
        write_page(
            html, page(found, judgement, ", ".join(run.folder.resolve().name for run in chosen))
        )
    if tracefile is not None:
        write_page(tracefile, lcov(found.total, module))
    if diff is not None:
        changed = changed_lines(module, diff, found.sources)
        if _show_patch(found, judgement, changed, diff):
            raise typer.Exit(ExitStatus.NOT_ALL_PASSED)
        return
    _show_files(found.total)
    _show_judgement(found, judgement, uncovered=uncovered, strict=strict)
    if strict and (not judgement.good or found.total.shortages):
        raise typer.Exit(ExitStatus.NOT_ALL_PASSED)


def _show_files(total: Reached) -> None:
    width = max(map(len, total.files))
    typer.echo(f"{'file':<{width}}  {'lines':>18}  {'branches':>18}")
    for name in (*total.files, None):
        lines, branches = total.line_share(name), total.branch_share(name)
        typer.echo(f"{name or 'all':<{width}}  {lines!s:>18}  {branches!s:>18}")


def _show_judgement(
    found: RunCoverage, judgement: Judgement, *, uncovered: bool, strict: bool
) -> None:
    if uncovered:
        for place in sorted({*judgement.explained, *judgement.lines, *judgement.branches}):
            typer.echo(_told(found, judgement, place))
    if strict:
        for one in (*(f"{LIST}: {one}" for one in judgement.wrong), *found.total.shortages):
            typer.echo(one)
    if found.without:
        typer.echo(f"nothing is known of: {', '.join(found.without)}")
    typer.echo(
        f"{len(found.scenarios)} scenarios; not reached and without a reason:"
        f" {len(judgement.lines)} lines, branches of {len(judgement.branches)} lines"
    )


def _told(found: RunCoverage, judgement: Judgement, place: Place) -> str:
    """A line that is not reached, or not in all branches."""
    name, number = place
    branches = found.total.branches.get(place, ())
    what = "never"
    if found.total.lines[place]:
        what = "".join("+" if one else "-" for one in branches)
    reason = judgement.explained.get(place, "")
    text = found.sources[name].splitlines()[number - 1].strip()
    return f"{name}:{number}: {what}: {text}" + (f"   ({reason})" if reason else "")


def _place(line: str) -> Place:
    name, _, number = line.rpartition(":")
    if not number.isdecimal():
        raise UsageError(f"--line {line}: it is no FILE:LINE", "e.g. --line chunk.c:100")
    return name, int(number)


def _show_line(found: RunCoverage, place: Place) -> None:
    name, number = place
    lines = found.total.lines
    if place not in lines:
        near = min(
            lines,
            key=lambda one: (one[0] != name, not lines[one], abs(one[1] - number)),
            default=place,
        )
        raise UsageError(
            f"{name}:{number} is no line with code", f"e.g. --line {near[0]}:{near[1]}"
        )
    who = found.who(place)
    for one in who:
        typer.echo(f"{found.scenarios[one].lines[place]:>10}  {one}")
    typer.echo(f"{len(who)} of {len(found.scenarios)} scenarios reach {name}:{number}")


def _show_patch(
    found: RunCoverage, judgement: Judgement, changed: Sequence[Place], revision: str
) -> bool:
    """Tell what of a patch is reached; whether something is neither reached nor explained."""
    code = [place for place in changed if place in found.total.lines]
    open_ = [place for place in code if place in {*judgement.lines, *judgement.branches}]
    for place in code:
        if place in open_ or place in judgement.explained:
            typer.echo(_told(found, judgement, place))
    reached = sum(bool(found.total.lines[place]) for place in code)
    typer.echo(f"{reached} of {len(code)} lines with code that are not in {revision} are reached")
    return any(place in judgement.lines for place in code)

"""`report` and `compare`: what is made of results that are there already."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from lab.cli.options import JsonOption, require_file
from lab.cli.progress import ProgressLine
from lab.report import difference_text
from lab.report.difference import difference
from lab.report.html import run_page, write_page
from lab.report.stored import read_run
from lab.report.wording import printable
from lab.runner.events import plain
from lab.runner.verdict import ExitStatus


def report_command(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Folder of a run.", show_default=True)
    ] = Path("results/latest"),
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Where to; report.html in RUN if not given."),
    ] = None,
) -> None:
    """Write a page of a run, complete in itself, from its results folder."""
    run = run.resolve()  # results/latest will soon be another one
    path = html if html is not None else run / "report.html"
    stored = read_run(run)
    require_file("--html", path)
    with ProgressLine() as progress:
        write_page(path, run_page(stored, progress))
    typer.echo(f"{path} ({path.stat().st_size / 1024:.0f} KiB)")


def compare_command(
    before: Annotated[Path, typer.Argument(metavar="RUN1", help="Folder of a run.")],
    after: Annotated[Path, typer.Argument(metavar="RUN2", help="Folder of a later run.")],
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="A page here as well.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare two runs: verdicts, durations, what scenarios measured in passing."""
    require_file("--html", html)
    found = difference(read_run(before), read_run(after))
    if html is not None:
        write_page(html, difference_text.page(found))
    if as_json:
        ratios = {
            name: [{**asdict(one), "ratio": one.ratio} for one in getattr(found, name)]
            for name in ("durations", "figures")
        }
        record = {**asdict(found), **ratios, "worse": found.worse}
        typer.echo(json.dumps(plain(record), indent=2))
    else:
        for line in difference_text.lines(found):
            typer.echo(printable(line))
    raise typer.Exit(int(ExitStatus.NOT_ALL_PASSED if found.worse else ExitStatus.GREEN))

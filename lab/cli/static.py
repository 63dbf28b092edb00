"""`static`: what sparse, W=1, gcc's analyzer and checkpatch say of the module."""

import typer

from lab.cache import Cache
from lab.cli.options import MODULE, ModuleOption, require_sources
from lab.cli.progress import ProgressLine
from lab.runner.verdict import ExitStatus
from lab.static import check_module, judge, prepare_toolbox, read_reviews

REVIEWS = "test/reviewed-findings.txt"


def static_command(module: ModuleOption = MODULE) -> None:
    """Check the module's sources with sparse, W=1, gcc -fanalyzer and checkpatch, on this host."""
    require_sources(module)
    reviews = read_reviews(module / REVIEWS)
    with ProgressLine() as progress:
        toolbox = prepare_toolbox(Cache(), progress)
        judgement = judge(check_module(module, toolbox, progress), reviews)
    for finding in judgement.new:
        typer.echo(str(finding))
    for line in judgement.stale:
        typer.echo(line)
    if not judgement.clean:
        typer.echo(f"NOT CLEAN: {len(judgement.new)} findings, {len(judgement.stale)} reviews")
        raise typer.Exit(ExitStatus.NOT_ALL_PASSED)
    typer.echo(f"clean: sparse, W=1, gcc -fanalyzer, checkpatch ({judgement.known} reviewed)")

"""`ci`: pipelines for continuous integration, and the table that shards are made by."""

import json
from pathlib import Path
from typing import Annotated

import typer

from lab.ci.render import FILES, SHARDS, Service, render
from lab.cli.options import SCENARIOS, load_folder
from lab.data import checkout, data_file
from lab.errors import UsageError
from lab.runner.shard import TABLE, duration_table, recorded_durations

SERVICES = " or ".join(one.value for one in Service)
app = typer.Typer(help="Pipelines for continuous integration.", no_args_is_help=True)


@app.command("render")
def render_command(
    service: Annotated[
        Service, typer.Argument(metavar="SERVICE", help=f"Whose pipeline: {SERVICES}.")
    ],
    shards: Annotated[
        int, typer.Option("--shards", min=1, metavar="N", help="Machines for each kernel.")
    ] = SHARDS,
    write: Annotated[
        bool, typer.Option("--write", "-w", help="Write it where the service looks for it.")
    ] = False,
) -> None:
    """Render the pipeline of a service, from one template and the matrix of kernels.

    It is printed; with --write it goes to the file of the checkout that the service reads.
    """
    text = render(service, shards=shards)
    if not write:
        typer.echo(text, nl=False)
        return
    path = _checkout() / FILES[service]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    typer.echo(f"wrote {path}")


@app.command("record")
def record_command(
    results: Annotated[
        list[Path], typer.Argument(metavar="RESULTS", help="Folders of runs: results/latest")
    ],
) -> None:
    """Record how long scenarios took in runs; by that table `run --shard` makes equal parts."""
    passed = [pair for folder in results for pair in _passed(folder / "run.json")]
    _checkout()
    names = [one.name for one in load_folder(SCENARIOS)]
    path = data_file(TABLE)
    path.write_text(duration_table(recorded_durations(), passed, names), encoding="utf-8")
    typer.echo(f"{len({name for name, _ in passed} & set(names))} scenarios recorded in {path}")


def _passed(path: Path) -> list[tuple[str, float]]:
    """The names and seconds of what passed in a run."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["results"]
        return [(row["name"], row["duration"]) for row in rows if row["verdict"] == "passed"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} tells no results: {error}", "name the folder of a run") from error


def _checkout() -> Path:
    top = checkout()
    if top is None:
        raise UsageError("this lab is an installed package, without a repository to write to")
    return top

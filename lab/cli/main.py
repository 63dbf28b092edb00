"""Entry point: the commands, and what becomes of errors.

Exit status: 0 green, 1 some scenario did not pass, 2 bad usage or a bad scenario, 3 this machine
lacks something, 4 the lab itself failed, 130 interrupted before a verdict.
"""

import errno
import logging
import sys
import threading
import traceback
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from lab.cli import (
    bench,
    build,
    catalogue,
    ci,
    console,
    coverage,
    docs,
    dump,
    environment,
    gdb,
    image,
    kernel,
    manual,
    mutate,
    replay,
    report,
    run,
    shell,
    static,
)
from lab.errors import EnvironmentLack, LabError, UsageError
from lab.report.wording import short
from lab.runner.verdict import ExitStatus

app = typer.Typer(
    name="blksnap-lab",
    help="Boots guests, builds the blksnap module in them, runs scenarios, gives verdicts.",
    epilog=manual.verbatim(manual.MAIN, manual.exit_status(""), manual.FILES, manual.ENVIRONMENT),
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run.run_command)
app.command("report")(report.report_command)
app.command("compare")(report.compare_command)
app.command("list")(catalogue.list_command)
app.command("check")(catalogue.check_command)
app.command("docs")(docs.docs_command)
app.command("build")(build.build_command)
app.add_typer(image.app, name="image")
app.add_typer(kernel.app, name="kernel")
app.command("shell")(shell.shell_command)
app.command("gdb")(gdb.gdb_command)
app.command("replay")(replay.replay_command)
app.command("console")(console.console_command)
app.command("dump")(dump.dump_command)
app.command("static")(static.static_command)
app.command("coverage")(coverage.coverage_command)
app.command("mutate")(mutate.mutate_command)
app.command("doctor")(environment.doctor_command)
app.add_typer(bench.app, name="bench")
app.add_typer(ci.app, name="ci")
manual.document(app)


@app.callback()
def options(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the lab's own log and tracebacks of its errors.")
    ] = False,
) -> None:
    """Options before the command."""
    if debug:
        logging.basicConfig(level=logging.DEBUG, format="%(relativeCreated)7d %(name)s %(message)s")


def exit_status(error: LabError) -> ExitStatus:
    """The exit status that an error of the lab ends the program with."""
    if isinstance(error, UsageError):
        return ExitStatus.USAGE
    if isinstance(error, EnvironmentLack):
        return ExitStatus.ENVIRONMENT
    return ExitStatus.LAB_FAILED


def main() -> NoReturn:
    """Run the command line and exit. Errors of the lab are told without a traceback.

    typer itself ends the program when it is interrupted, and when nobody reads what it prints.
    """
    debug = "--debug" in sys.argv[1:]
    if not debug:
        _hush()
    try:
        _call()
    except LabError as error:
        if debug:
            traceback.print_exc()
        _tell(f"[bold red]error:[/] {escape(error.what)}")
        if error.remedy:
            _tell(f"  remedy: {escape(error.remedy)}")
        sys.exit(exit_status(error))
    except Exception as error:
        if debug:
            traceback.print_exc()
        _tell(f"[bold red]the lab failed:[/] {escape(f'{type(error).__name__}: {error}')}")
        _tell("  remedy: run it again as `blksnap-lab --debug ...` and report what it prints")
        sys.exit(ExitStatus.LAB_FAILED)
    sys.exit(ExitStatus.GREEN)


def _call() -> None:
    """Run the command line. A name that no file can have is bad usage, wherever it is given."""
    try:
        app(prog_name="blksnap-lab")
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise UsageError(
            f"{error.strerror}: {short(str(error.filename))}", "give a shorter name"
        ) from error


def _hush() -> None:
    """What libraries log, and what ends a thread of theirs, is for --debug; our errors are told.

    Python would show both on standard error by itself, with a traceback.
    """
    logging.getLogger().addHandler(logging.NullHandler())
    threading.excepthook = lambda ended: logging.getLogger("lab").error("a thread ended: %s", ended)


def _tell(line: str) -> None:
    Console(stderr=True, soft_wrap=True, highlight=False).print(line)

"""The options of `run`: which scenarios, how, and what is made of the results."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from lab.cli.chosen import GroupOption, NamesArgument, RuleOption, selection
from lab.cli.options import SCENARIOS, KernelsOption, ScenariosOption, load_folder, require_file
from lab.cli.progress import ProgressLine
from lab.errors import UsageError
from lab.estimates import Estimates
from lab.report.html import Html
from lab.report.jsonl import JsonLines
from lab.report.junit import JUnit
from lab.report.summary import SLOWEST
from lab.report.terminal import Terminal
from lab.runner.events import Listener
from lab.runner.selection import select_to_run
from lab.runner.shard import Shard, recorded_durations
from lab.scenario.scenario import Scenario

LongOption = Annotated[
    bool, typer.Option("--long", help="The full numbers, where usually fewer must do.")
]


@dataclass(frozen=True)
class WhichOptions:
    """Which scenarios are run."""

    names: NamesArgument = None
    group: GroupOption = None
    rule: RuleOption = None
    scenarios: ScenariosOption = SCENARIOS
    long: LongOption = False
    shard: Annotated[
        str | None,
        typer.Option("--shard", metavar="N/COUNT", help="Only this part, of about equal time."),
    ] = None

    def chosen(self) -> tuple[Scenario, ...]:
        """The scenarios; none if other shards have them all. UsageError if nothing fits."""
        wanted = selection(self.names, self.group, self.rule, self.scenarios)
        every = select_to_run(load_folder(self.scenarios, long=self.long, wanted=wanted), wanted)
        if self.shard is None:
            return every
        part = Shard.parse(self.shard).part_of(every, recorded_durations())
        if not part:
            told = (
                f"shard {self.shard} has nothing to run, the others have all {len(every)} scenarios"
            )
            typer.echo(f"green: {told}")
        return part


@dataclass(frozen=True)
class ReportOptions:
    """What is made of the results."""

    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="JUnit XML as well here.")
    ] = None
    jsonl: Annotated[
        Path | None, typer.Option("--jsonl", metavar="FILE", help="Events as well here.")
    ] = None
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="A page for people here.")
    ] = None
    slowest: Annotated[
        int | None,
        typer.Option(
            "--slowest",
            min=0,
            metavar="N",
            help="Show the N slowest.",
            show_default=f"{SLOWEST}, of more than {SLOWEST}",
        ),
    ] = None

    def listeners(self) -> list[Listener]:
        """Those who make it; what the folder of the run has does not hang on other files."""
        terminal = Terminal(slowest=self.slowest, estimates=Estimates.of_this_machine())
        made: list[Listener] = [terminal, JUnit()]
        made += [JUnit(self.junit)] if self.junit is not None else []
        # It reads what a run that goes on had, before more is written.
        made += [JsonLines(self.jsonl)] if self.jsonl is not None else []
        made += [JsonLines()]
        # After the events' listener: it reads what that wrote.
        return [*made, Html(self.html, ProgressLine)] if self.html is not None else made

    def require_files(self) -> None:
        """UsageError if one of the files cannot be written, or would replace another."""
        found: dict[Path, str] = {}
        for option in ("junit", "jsonl", "html"):
            path: Path | None = getattr(self, option)
            require_file(f"--{option}", path)
            if path is None:
                continue
            other = found.setdefault(path.resolve(), option)
            if other != option:
                raise UsageError(
                    f"--{other} and --{option} are the same file: {path}",
                    "each needs a file of its own",
                )


@dataclass(frozen=True)
class HowOptions:
    """How they are run."""

    kernel: KernelsOption = None
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            min=1,
            metavar="N",
            help="Guests at a time; if not given one more than processors, if memory allows.",
        ),
    ] = None
    repeat: Annotated[
        int,
        typer.Option(
            "--repeat",
            min=1,
            metavar="N",
            help="Run each so often; tells how often which was red.",
        ),
    ] = 1
    keep_failed: Annotated[
        bool,
        typer.Option(
            "--keep-failed", help="Keep the guests of failed scenarios, for shell, gdb and dump."
        ),
    ] = False
    coverage: Annotated[
        bool,
        typer.Option(
            "--coverage", help="Count how often each line is reached; see `blksnap-lab coverage`."
        ),
    ] = False

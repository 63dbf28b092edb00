"""`replay`: a scenario of a run recorded to the instruction, compared, and debugged backwards."""

import contextlib
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from lab import modbuild
from lab.cache import Cache
from lab.cli.again import Asked, asked
from lab.cli.gdb import BatchOption, ExecuteOption, VmlinuxOption, foreground, word
from lab.cli.progress import ProgressLine
from lab.errors import UsageError
from lab.guest import sections
from lab.guest.inspect import serve_gdb
from lab.guest.prepare import prepare
from lab.programs import find_program, require_programs
from lab.replay import (
    FOLDER,
    Mark,
    NotRecorded,
    Recording,
    compare_console,
    find_recording,
    opened,
    record,
    refuse,
)
from lab.report.stored import StoredScenario, read_run
from lab.runner.verdict import ExitStatus
from lab.scenario.load import parse_scenario
from lab.scenario.scenario import Scenario

_HINT = """\
The guest stands at instruction {icount} of the recording, {what}.
  reverse-stepi, reverse-step, reverse-next, reverse-continue   back
  continue, step, next ...                                      forth, as it was recorded
  break FUNCTION, then reverse-continue                         when it was called last
"""


def replay_command(
    result: Annotated[
        Path,
        typer.Argument(
            metavar="RUN/SCENARIO", help="Results of a scenario, or a recording moved elsewhere."
        ),
    ],
    check: Annotated[
        bool, typer.Option("--check", help="Replay it, and compare its console byte for byte.")
    ] = False,
    gdb: Annotated[
        bool | None,
        typer.Option(
            "--gdb/--no-gdb",
            help="Open gdb on the replay, or do not.",
            show_default="on a terminal, without --check",
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="WHERE",
            help="Where gdb begins: a step, e.g. 'steps[3]', failure or end.",
            show_default="failure, else end",
        ),
    ] = None,
    execute: ExecuteOption = None,
    batch: BatchOption = False,
    vmlinux: VmlinuxOption = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Record anew, even if there is a recording.")
    ] = False,
) -> None:
    """Record a scenario of a run again, to the instruction, and replay it: forwards and backwards.

    The recording is kept in the folder "replay" of the results; if there is one it is replayed.
    The scenario, kernel, module and options are those of the results, but the guest has one
    emulated processor: a failure that needs two at a time does not come again.
    """
    folder = None if fresh else find_recording(result)
    if folder is None:
        folder = _record(result)
    else:
        require_programs()
    recording = Recording.load(folder)
    print(f"{recording.scenario}: recorded, {recording.verdict}{_because(recording)}")
    print(f"recording: {folder}")
    differs = told_differently(result, recording)
    if differs:
        print(differs)
    wants_gdb = gdb if gdb is not None else sys.stdin.isatty() and not check
    with Cache().scratch("replay") as scratch:
        if check:
            with ProgressLine() as progress:
                compared = compare_console(recording, folder, scratch / "check", progress)
            print(compared.told())
            if not compared.identical:
                raise typer.Exit(int(ExitStatus.NOT_ALL_PASSED))
        if wants_gdb:
            commands = [part for text in execute or () for part in ("-ex", text)]
            commands += ["-batch"] if batch else []
            status = _debug(recording, folder, scratch / "gdb", at, commands, vmlinux)
            if status:
                raise typer.Exit(status)
    if differs:
        raise typer.Exit(int(ExitStatus.NOT_ALL_PASSED))


def told_differently(path: Path, recording: Recording) -> str:
    """What to say if a recording has another verdict than the results that it was made of.

    Nothing if it has the same one, or was moved away from them.
    """
    try:
        result = stored(path.resolve().parent if find_recording(path) == path else path)
    except UsageError:
        return ""
    if result.verdict == recording.verdict:
        return ""
    because = f": {result.reason}" if result.reason else ""
    again = "it may need two processors, or another timing (try again: --fresh)"
    return f"the run had another verdict: {result.verdict}{because}; {again}"


def _debug(
    recording: Recording,
    folder: Path,
    scratch: Path,
    at: str | None,
    commands: list[str],
    vmlinux: Path | None,
) -> int:
    """Open gdb on a replay; its exit status."""
    program = find_program("gdb")
    with contextlib.ExitStack() as stack:
        with ProgressLine() as progress:
            machine, mark = stack.enter_context(opened(recording, folder, scratch, at, progress))
        name = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="blksnap-lab.")))
        script = name / "start.gdb"
        script.write_text(start_script(recording, folder, name / "gdb", vmlinux))
        serve_gdb(machine, name / "gdb")
        print(_HINT.format(icount=mark.icount, what=_told(mark)), file=sys.stderr)
        return foreground([program, "-q", "-nx", "-x", str(script), *commands])


def start_script(recording: Recording, folder: Path, socket: Path, vmlinux: Path | None) -> str:
    """What gdb does first: symbols at their addresses, then the connection."""
    lines = ["set pagination off", "set confirm off", "set architecture i386:x86-64"]
    # Going backwards may replay all that lies between two states.
    lines.append("set remotetimeout 600")
    if vmlinux is not None:
        lines.append(f"file {word(vmlinux)}")
    told = (folder / sections.FILE).read_text(encoding="utf-8")
    if recording.debug_modules is not None and recording.debug_modules.is_dir():
        for file in sorted(recording.debug_modules.glob("*.ko")):
            if where := sections.symbol_options(told, file.stem):
                lines.append(f"add-symbol-file {word(file)}{where}")
    else:
        print("the modules with symbols are not in the cache any more", file=sys.stderr)
    if recording.module_source is not None:
        lines.append(f"set substitute-path {modbuild.SOURCE} {word(recording.module_source)}")
    # QEMU saves a state when gdb comes, and does not find back to that very instruction.
    lines += [f"target remote {socket}", "monitor delvm start_debugging"]
    return "\n".join([*lines, ""])


def _because(recording: Recording) -> str:
    return f": {recording.reason}" if recording.reason else ""


def _told(mark: Mark) -> str:
    return f"{mark.where}: {mark.what}"


def _record(path: Path) -> Path:
    """Record the scenario of a result again; the folder of the recording."""
    result = stored(path)
    wanted = asked(result.command)
    scenario = _scenario(result, wanted)
    refuse(scenario, wanted.how.coverage)
    folder = result.folder / FOLDER
    settings = wanted.guest.settings(wanted.kernel)
    require_programs()
    settings = replace(settings, memory=scenario.memory or settings.memory)
    with ProgressLine(wanted.kernel) as progress:
        template = prepare(settings, progress)
        try:
            recording = record(
                scenario,
                template,
                folder,
                kernel=wanted.kernel,
                command=result.command,
                progress=progress,
            )
        finally:
            template.release()
    if find_recording(folder) is None:
        raise NotRecorded(f"nothing could be recorded: {recording.verdict}{_because(recording)}")
    return folder


def _scenario(result: StoredScenario, wanted: Asked) -> Scenario:
    """The scenario as it was run."""
    file = result.folder / "scenario.yaml"
    if not file.is_file():
        raise UsageError(f"{file} is not there", "run the scenario again")
    text = file.read_text(encoding="utf-8")
    return parse_scenario(text, result.name, str(file), long=wanted.long)


def stored(path: Path) -> StoredScenario:
    """The result of a scenario in a folder. UsageError if it has none."""
    here = path.resolve()
    for folder in here.parents:
        if (folder / "events.jsonl").is_file() and (folder / "command.txt").is_file():
            try:
                run = read_run(folder)
            except UsageError:
                continue
            for one in run.scenarios:
                if one.folder.resolve() == here:
                    return one
    raise UsageError(
        f"{path} holds no results of a scenario",
        "name the folder of one, e.g. results/latest/overflow/exhausted",
    )

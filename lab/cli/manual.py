"""What `--help` tells beyond the options: examples, exit status, files, environment.

The texts are by command; `document` puts each at the end of its command's help. Examples are
commands of a shell, and the tests parse every one.
"""

from __future__ import annotations

import typer

from lab.cli.helped import Command

EXIT_STATUS = """\
Exit status:
  0    green: all that was asked for is in order
  1    not green: {not_green}
  2    bad usage, or a bad scenario file
  3    this machine lacks something; the command that mends it is told
  4    the lab itself failed
  130  interrupted before anything had a verdict"""
"""Of commands that run scenarios, and of the program as a whole."""
NOT_GREEN = {
    "": "a scenario did not pass, a check found something",
    "run": "a scenario did not pass, nor was it skipped for a reason",
    "mutate": "a mutant is not killed, and the list has no reason for it",
}
SHORT_EXIT_STATUS = "Exit status: 0{one}; others as `blksnap-lab --help` tells."
ONE = {
    "build": "with --strict if the compiler warned",
    "bench module": "with --icount if a ratio misses what it is to reach",
    "compare": "if what was green in the first run is not, or was not run, in the second",
    "coverage": "with --diff if a line of the patch is neither reached nor explained, with --strict"
    " see there",
    "kernel build": "with --check-config if an option got lost",
    "kernel series": "with --check if something would change",
    "replay": "if the recording has another verdict than the results, with --check if a console"
    " differs",
    "static": "for a finding that is not in the module's list of reviewed ones, or a review that no"
    " longer fits",
}
"""When the exit status is 1, of commands that run no scenarios and may have it."""
SHELL_EXIT_STATUS = """\
Exit status:
  that of the shell or the command; 255 if it ended by no status of its own;
  before there is a shell as of all commands: 2 bad usage, 3 this machine lacks
  something, 4 the lab itself failed"""
FILES = """\
Files:
  results/DATE-TIME/  a run: junit.xml, events.jsonl, and for each scenario its
                      YAML, console, kernel log, QEMU command line, verdict
  results/latest      the newest run
  ~/.cache/blksnap-lab
                      images, modules, templates, times of earlier runs; bounded,
                      shared by runs at the same time, may be removed when none
                      is under way"""
ENVIRONMENT = """\
Environment:
  BLKSNAP_LAB_CACHE   folder of the cache, instead of the one above
  NO_COLOR            no colours, if set to anything"""
MAIN = """\
Where to begin:
  blksnap-lab doctor             what this machine lacks
  blksnap-lab list               what scenarios there are
  blksnap-lab run overflow       run those of a group
  blksnap-lab COMMAND --help     all about a command

In a terminal long work shows how far it is and how long it still takes, by
earlier times; in a pipe each stage is a line, and one each minute while it
lasts; nothing moves."""

EXAMPLES = {
    "run": """\
  blksnap-lab run
  blksnap-lab run overflow 'cbt/*' --jobs 2
  blksnap-lab run --rule K18 --kernel all
  blksnap-lab run --module /tmp/broken-copy cbt/map-error
  blksnap-lab run --ko vendor/6.1 --flavour vendor/flavour.yaml overflow
  blksnap-lab run --shard 2/4 --junit junit.xml
  blksnap-lab run --resume results/latest""",
    "list": """\
  blksnap-lab list cbt
  blksnap-lab list --rule K18
  blksnap-lab list --proves --rule W-05
  blksnap-lab list --proves --json""",
    "check": """\
  blksnap-lab check
  blksnap-lab check my-scenario.yaml
  blksnap-lab check --schema > blksnap.schema.json""",
    "docs": "  blksnap-lab docs > scenarios/README.md",
    "build": """\
  blksnap-lab build --kernel all
  blksnap-lab build --module ../other-module --memory 2GiB""",
    "shell": """\
  blksnap-lab shell
  blksnap-lab shell --disk a=1GiB --kernel 6.12
  blksnap-lab shell -- uname -r
  blksnap-lab shell -- 'lsblk; uname -r'
  blksnap-lab shell --kept results/latest/overflow/exhausted""",
    "gdb": """\
  blksnap-lab gdb --ex 'break snapshot_take' --ex continue
  blksnap-lab gdb --kept results/latest/overflow/exhausted""",
    "replay": """\
  blksnap-lab replay results/latest/overflow/exhausted
  blksnap-lab replay results/latest/overflow/exhausted --check
  blksnap-lab replay results/latest/overflow/exhausted --gdb --at 'steps[3]'
  blksnap-lab replay results/latest/overflow/exhausted --ex 'break chunk_copy'""",
    "console": """\
  blksnap-lab console --kernel 6.12
  blksnap-lab console --kept results/latest/overflow/exhausted""",
    "dump": "  blksnap-lab dump results/latest/overflow/exhausted memory.kdump",
    "report": "  blksnap-lab report results/latest --html run.html",
    "compare": """\
  blksnap-lab compare results/2026-11-23T17-22-51 results/latest
  blksnap-lab compare results/2026-11-23T17-22-51 results/latest --html difference.html""",
    "coverage": """\
  blksnap-lab coverage results/latest --html coverage.html
  blksnap-lab coverage --line cbt_map.c:75
  blksnap-lab coverage --diff main""",
    "mutate": """\
  blksnap-lab mutate --list
  blksnap-lab mutate cbt_map.c
  blksnap-lab mutate --jobs 2
  blksnap-lab mutate storage-given-unlocked --kernel 6.1-kcsan""",
    "static": """\
  blksnap-lab static
  blksnap-lab static --module ../other-module""",
    "doctor": """\
  blksnap-lab doctor
  blksnap-lab doctor --probe --json""",
    "image build": "  blksnap-lab image build --kernel 5.10 --kernel 7.x",
    "image list": "  blksnap-lab image list --json",
    "image prune": """\
  blksnap-lab image prune --dry-run
  blksnap-lab image prune --kernel 5.10""",
    "kernel build": """\
  blksnap-lab kernel build 6.1-debug
  blksnap-lab kernel build 6.1-patched""",
    "kernel series": """\
  blksnap-lab kernel series
  blksnap-lab kernel series --check""",
    "bench clone": "  blksnap-lab bench clone -n 20",
    "bench module": """\
  blksnap-lab bench module --icount --rounds 2
  blksnap-lab bench module --depth 8 --json""",
    "ci render": """\
  blksnap-lab ci render gitlab
  blksnap-lab ci render github --write""",
    "ci record": "  blksnap-lab ci record results/latest",
}
"""Examples by command, a line each."""


SUMMARIES = {
    "run": "Run scenarios, each in a fresh guest, and give verdicts.",
    "list": "List the scenarios, or rules with what proves them.",
    "check": "Check scenario files; tell all mistakes at once.",
    "docs": "Print the page that explains the scenario language.",
    "build": "Build image, module and template beforehand.",
    "shell": "Open a shell in a fresh or a kept guest.",
    "gdb": "Debug a fresh or a kept guest, with the module's symbols.",
    "replay": "Record a scenario again, to the instruction; go back in it.",
    "console": "Join the terminal to a guest's serial console.",
    "dump": "Write the memory of a kept guest, for crash and drgn.",
    "report": "Make a page of a run that is over.",
    "compare": "Tell what differs between two runs.",
    "coverage": "Tell which lines of the module a run has reached.",
    "mutate": "Break the module on purpose; tell what no scenario notices.",
    "static": "Check the module's sources on this host.",
    "doctor": "Tell all that this machine lacks, with what mends it.",
}
"""What the list of commands tells of those whose help begins with a longer line."""


def document(app: typer.Typer) -> None:
    """Give the commands the last part of their help, and their line in the list of commands."""
    for command in app.registered_commands:
        command.cls = Command
        command.epilog = epilog(command.name or "")
        command.short_help = SUMMARIES.get(command.name or "")
    for group in app.registered_groups:
        inner = group.typer_instance
        for command in inner.registered_commands if inner else ():
            command.cls = Command
            command.epilog = epilog(f"{group.name} {command.name}")


def epilog(command: str) -> str:
    """The last part of a command's help."""
    examples = EXAMPLES.get(command)
    parts = [f"Examples:\n{examples}"] if examples else []
    status = exit_status(command)
    if "\n" not in status:
        return f"{verbatim(*parts)}\n\n{status}"
    return verbatim(*parts, status, *((FILES, ENVIRONMENT) if command == "run" else ()))


def exit_status(command: str) -> str:
    """What the exit status of a command tells; of the program if there is none."""
    if command in NOT_GREEN:
        return EXIT_STATUS.format(not_green=NOT_GREEN[command])
    if command == "shell":
        return SHELL_EXIT_STATUS
    return SHORT_EXIT_STATUS.format(one=f"; 1 {ONE[command]}" if command in ONE else "")


def verbatim(*parts: str) -> str:
    """Paragraphs whose lines are not broken anew."""
    paragraphs = "\n\n".join(parts).split("\n\n")
    return "\n\n".join(f"\b\n{paragraph}" for paragraph in paragraphs)

"""What is kept of a scenario besides its events and its verdict."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from lab.runner.context import Context
from lab.runner.failures import running
from lab.runner.klog import LogLine, find_splats
from lab.runner.traces import Traces
from lab.runner.verdict import Finding, Verdict
from lab.runner.watch import console_lines


def keep(context: Context, findings: Sequence[Finding], traces: Traces) -> None:
    """Write kernel log, traces, command line, figures and, after a hang, the tasks that wait."""
    folder, machine = context.folder, context.guest.machine
    folder.write_line("figures.json", context.figures.record(context))
    folder.write_text("qemu-command.txt", shlex.join(machine.command_line) + "\n")
    lines = _kernel_log(context)
    folder.write_text("kernel.log", "".join(f"{line}\n" for line in lines))
    splats = ["\n".join(traces.decoded(splat.trace)) + "\n" for splat in find_splats(lines)]
    if splats:
        folder.write_text("splats.txt", "\n".join(splats))
    places = traces.places([*map(str, lines), *map(str, console_lines(machine.console_path))])
    if places:
        folder.write_json("places.json", places)
    for finding in findings:
        if finding.verdict is Verdict.HANG:
            folder.write_text("blocked-tasks.txt", "".join(f"{line}\n" for line in finding.detail))


def _kernel_log(context: Context) -> list[LogLine]:
    """What the agent could read; the console's lines if that ended before the kernel did."""
    console = console_lines(context.guest.machine.console_path)
    return context.log.lines if running(context.guest) and context.log.lines else console

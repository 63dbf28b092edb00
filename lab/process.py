"""Programs of the host: run to their end with a limit, and reported with all they said.

LabError
 └─ CommandFailed      ended with another status than 0, or ran into the limit
"""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lab.errors import LabError
from lab.programs import find_program

# Lines of output that an error message shows; the error object has them all.
TAIL_LINES = 30
GRACE = 10.0
"""Seconds that a program has to end when it is asked to."""


class CommandFailed(LabError):  # noqa: N818
    """A program failed. `status` is its exit status, negative for a signal, None at the limit."""

    def __init__(self, argv: Sequence[str], status: int | None, output: str) -> None:
        ended = "took longer than its limit" if status is None else f"ended with status {status}"
        tail = "\n".join(output.splitlines()[-TAIL_LINES:])
        super().__init__(f"{shlex.join(argv)} {ended}:\n{tail}")
        self.argv = tuple(argv)
        self.status = status
        self.output = output


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    on_line: Callable[[str], None] | None = None,
) -> str:
    """Run a program to its end and return what it wrote, standard error included.

    `env` is added to the environment; `on_line` sees every line as it comes. The program and all
    its children are ended after `timeout` seconds, and when the caller is interrupted: asked to
    first, so that they leave nothing behind, and killed GRACE seconds later.
    CommandFailed if it does not end with status 0, EnvironmentLack if it is not installed.
    """
    lines: list[str] = []
    with _start(argv, cwd, env) as process:
        late = threading.Event()
        watch = threading.Timer(timeout, _expire, (process, late))
        watch.start()
        try:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line)
                if on_line is not None:
                    on_line(line.rstrip("\n"))
            status = process.wait()
        except BaseException:
            end_group(process)
            raise
        finally:
            watch.cancel()
    if late.is_set() or status != 0:
        raise CommandFailed(argv, None if late.is_set() else status, "".join(lines))
    return "".join(lines)


# Before a command: should we be killed it is asked to end, and so can clean up (mmdebstrap does).
# Debian always has it.
_SETPRIV = shutil.which("setpriv", path=os.defpath)
_ASKED_TO_END = [_SETPRIV, "--pdeathsig=TERM", "--"] if _SETPRIV else []


def _start(
    argv: Sequence[str], cwd: Path | None, env: Mapping[str, str] | None
) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*_ASKED_TO_END, find_program(argv[0]), *argv[1:]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=cwd,
        env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})},
        text=True,
        errors="replace",
        start_new_session=True,
    )


def _expire(process: "subprocess.Popen[str]", late: threading.Event) -> None:
    late.set()
    end_group(process)


def end_group(process: "subprocess.Popen[str]") -> None:
    """Ask a process group that we made to end, and kill it GRACE seconds later, or when we are
    interrupted; one that is gone is fine."""
    end = time.monotonic() + GRACE
    with contextlib.suppress(ProcessLookupError):
        try:
            os.killpg(process.pid, signal.SIGTERM)
            # Its first process is in it until it was asked for its status.
            while time.monotonic() < end:
                process.poll()
                os.killpg(process.pid, 0)
                time.sleep(0.02)
        finally:
            os.killpg(process.pid, signal.SIGKILL)

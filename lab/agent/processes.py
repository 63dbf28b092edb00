"""Programs run in the guest: with a limit, output bounded, the whole process group ended."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Optional

from lab.errors import LabError

_KEEP = 96 << 10  # bytes kept of each stream: an answer stays below 256 KiB
_GRACE_S = 0.5  # for output still in the pipes when the program has ended
_READ = 1 << 16


class CommandFailed(LabError):  # noqa: N818
    """A program ended with a status other than 0; says which and what it printed."""


@dataclass
class _Stream:
    """Bytes of one output, the first _KEEP of them."""

    kept: bytearray = field(default_factory=bytearray)
    truncated: bool = False

    def add(self, data: bytes) -> None:
        room = _KEEP - len(self.kept)
        self.kept += data[:room]
        self.truncated = self.truncated or len(data) > room

    @property
    def text(self) -> str:
        return self.kept.decode(errors="replace")


@dataclass(frozen=True)
class Outcome:
    """status: exit status, or minus the signal. truncated: output was longer than is kept."""

    status: int
    stdout: str
    stderr: str
    truncated: bool


def start(
    argv: Sequence[str],
    *,
    stdin: Optional[int] = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.PIPE,
    stderr: int | IO[bytes] = subprocess.PIPE,
    env: Optional[Mapping[str, str]] = None,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own. `env` is added to the agent's."""
    process = subprocess.Popen(
        list(argv),
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        env=None if env is None else {**os.environ, **env},
        start_new_session=True,
    )
    # The agent is exempt from the OOM killer and children inherit that; they must not be.
    with contextlib.suppress(OSError):
        Path(f"/proc/{process.pid}/oom_score_adj").write_text("0", encoding="ascii")
    return process


def run(
    argv: Sequence[str],
    *,
    input: str = "",
    timeout: float = 60.0,
    env: Optional[Mapping[str, str]] = None,
) -> Outcome:
    """Run a program to its end. TimeoutError (ETIMEDOUT) when it was killed after `timeout` s."""
    process = start(argv, stdin=subprocess.PIPE, env=env)
    with process:
        try:
            out, err = _converse(process, input.encode(), time.monotonic() + timeout)
        except TimeoutError:
            kill_group(process)
            raise
        finally:
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
        return Outcome(process.wait(), out.text, err.text, out.truncated or err.truncated)


def need(argv: Sequence[str], *, input: str = "", timeout: float = 60.0) -> str:
    """Run a program that must succeed; its output. CommandFailed with what it said if not."""
    outcome = run(argv, input=input, timeout=timeout, env={"DM_DISABLE_UDEV": "1", "LC_ALL": "C"})
    if outcome.status:
        # Some say the same again each time they try.
        lines = dict.fromkeys((outcome.stderr.strip() or outcome.stdout.strip()).splitlines())
        said = "\n".join(lines)[-2000:]
        raise CommandFailed(f"{' '.join(argv)}: status {outcome.status}: {said}")
    return outcome.stdout


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a program and whatever it started in its session."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _converse(process: subprocess.Popen[bytes], data: bytes, end: float) -> tuple[_Stream, _Stream]:
    """Feed the input and gather the output until both streams end, or a little after the exit.

    A program left behind in the background may hold the pipes open for ever.
    """
    assert process.stdin and process.stdout and process.stderr
    out, err = _Stream(), _Stream()
    left = memoryview(data)
    with selectors.DefaultSelector() as selector:
        for pipe in (process.stdin, process.stdout, process.stderr):
            os.set_blocking(pipe.fileno(), False)
        selector.register(process.stdout, selectors.EVENT_READ, out)
        selector.register(process.stderr, selectors.EVENT_READ, err)
        if left:
            selector.register(process.stdin, selectors.EVENT_WRITE)
        else:
            process.stdin.close()
        watch = _watch(process.pid, selector)
        try:
            while any(isinstance(key.data, _Stream) for key in selector.get_map().values()):
                now = time.monotonic()
                if now >= end:
                    if process.poll() is not None:
                        break
                    raise TimeoutError(110, f"{process.args!r} was killed when its time was up")
                for key, _ in selector.select(end - now):
                    if isinstance(key.data, _Stream):
                        _drain(selector, key, key.data)
                    elif key.fileobj is process.stdin:
                        left = _feed(selector, process, left)
                    else:
                        selector.unregister(key.fileobj)
                        end = min(end, time.monotonic() + _GRACE_S)
        finally:
            os.close(watch)
    # Both streams may end long before the program does.
    try:
        process.wait(max(0.0, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise TimeoutError(110, f"{process.args!r} was killed when its time was up") from None
    return out, err


def _watch(pid: int, selector: selectors.BaseSelector) -> int:
    watch = os.pidfd_open(pid)
    selector.register(watch, selectors.EVENT_READ)
    return watch


def _drain(selector: selectors.BaseSelector, key: selectors.SelectorKey, stream: _Stream) -> None:
    try:
        data = os.read(key.fd, _READ)
    except BlockingIOError:
        return
    if data:
        stream.add(data)
    else:
        selector.unregister(key.fileobj)


def _feed(
    selector: selectors.BaseSelector, process: subprocess.Popen[bytes], left: memoryview
) -> memoryview:
    assert process.stdin
    try:
        left = left[os.write(process.stdin.fileno(), left) :]
    except BlockingIOError:
        return left
    except BrokenPipeError:
        left = left[:0]
    if not left:
        selector.unregister(process.stdin)
        process.stdin.close()
    return left

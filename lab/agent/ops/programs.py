"""Programs: run to the end, or started by name and reaped later."""

from __future__ import annotations

import contextlib
import errno
import subprocess
import tempfile
import threading
from dataclasses import asdict, dataclass
from typing import IO, Optional

from lab.agent import processes
from lab.agent.registry import Result, operation
from lab.errors import UsageError

_TAIL = 96 << 10


@dataclass(frozen=True)
class _Spawned:
    process: subprocess.Popen[bytes]
    stdout: IO[bytes]
    stderr: IO[bytes]


_spawned: dict[str, _Spawned] = {}
_lock = threading.Lock()


@operation
def exec(
    argv: list[str],
    input: str = "",
    timeout: float = 60.0,
    env: Optional[dict[str, str]] = None,
) -> Result:
    """Run a program to its end; whatever its status, that is no error of the request."""
    _check_argv("exec", argv)
    return asdict(processes.run(argv, input=input, timeout=timeout, env=env))


@operation
def spawn(name: str, argv: list[str], env: Optional[dict[str, str]] = None) -> Result:
    """Start a program in the background; its output goes to files until it is reaped."""
    _check_argv("spawn", argv)
    with _lock:
        if name in _spawned:
            raise UsageError(f"spawn: there is a program {name!r} already; reap it first")
        # Open until the program is reaped.
        stdout = tempfile.TemporaryFile()  # noqa: SIM115
        stderr = tempfile.TemporaryFile()  # noqa: SIM115
        process = processes.start(argv, stdout=stdout, stderr=stderr, env=env)
        _spawned[name] = _Spawned(process, stdout, stderr)
    return {"pid": process.pid}


@operation
def reap(name: str, kill: bool = False, timeout: float = 60.0) -> Result:
    """Wait for a spawned program (killed first if asked); its status and the end of its output."""
    with _lock:
        spawned = _spawned.get(name)
    if spawned is None:
        raise UsageError(f"reap: no program is called {name!r}")
    if kill:
        processes.kill_group(spawned.process)
    try:
        status = spawned.process.wait(timeout)
    except subprocess.TimeoutExpired:
        raise TimeoutError(errno.ETIMEDOUT, f"{name} still runs after {timeout} s") from None
    with _lock:
        _spawned.pop(name, None)
    with contextlib.closing(spawned.stdout), contextlib.closing(spawned.stderr):
        return {
            "status": status,
            "stdout": _tail(spawned.stdout),
            "stderr": _tail(spawned.stderr),
        }


def _tail(file: IO[bytes]) -> str:
    size = file.seek(0, 2)
    file.seek(max(0, size - _TAIL))
    return file.read().decode(errors="replace")


def _check_argv(what: str, argv: list[str]) -> None:
    if not argv:
        raise UsageError(f"{what}: argv is empty")

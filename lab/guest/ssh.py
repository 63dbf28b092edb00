"""SSH into a guest: commands, files, a terminal. For building and people; steps use the agent.

The guest's host key is known, because we made it. Errors of paramiko become SshError here.

    LabError
     └─ SshError            no connection, or it broke
"""

import contextlib
import io
import logging
import posixpath
import shlex
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import paramiko

from lab.errors import LabError
from lab.image import Keys

# Its threads report what we raise anyway; without a handler that would go to standard error.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

USER = "root"
HOST = "127.0.0.1"
CONNECT_LIMIT = 60.0
RETRY_PAUSE = 0.5
COPY_LIMIT = 300.0
CHUNK = 1 << 16


class SshError(LabError):
    """The guest could not be reached over SSH, or the connection broke."""


@dataclass(frozen=True)
class Finished:
    """A command that ended: exit status (-1: killed by a signal) and all it wrote, as text."""

    status: int
    output: str


class Ssh:
    """A connection to a guest's sshd; a context manager."""

    def __init__(self, client: paramiko.SSHClient) -> None:
        self._client = client
        self._sftp: paramiko.SFTPClient | None = None

    @classmethod
    def connect(cls, port: int, keys: Keys, *, timeout: float) -> Self:
        """Log in as root; tries again until `timeout` seconds are over, because guests boot."""
        limit = time.monotonic() + timeout
        while True:
            client = paramiko.SSHClient()
            host_key = paramiko.Ed25519Key(filename=str(keys.host_key))
            client.get_host_keys().add(f"[{HOST}]:{port}", "ssh-ed25519", host_key)
            try:
                client.connect(
                    HOST,
                    port,
                    USER,
                    key_filename=str(keys.login_key),
                    allow_agent=False,
                    look_for_keys=False,
                    timeout=CONNECT_LIMIT,
                    banner_timeout=CONNECT_LIMIT,
                    auth_timeout=CONNECT_LIMIT,
                )
                return cls(client)
            except (paramiko.SSHException, OSError, EOFError) as error:
                client.close()
                if time.monotonic() > limit:
                    raise SshError(f"no SSH to the guest within {timeout:g} s: {error}") from error
                time.sleep(RETRY_PAUSE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def run(
        self,
        command: str,
        *,
        timeout: float,
        stdin: bytes = b"",
        on_line: Callable[[str], None] | None = None,
    ) -> Finished:
        """Run a shell command; `on_line` sees the lines of its output as they come.

        SshError if the connection breaks or nothing ends within `timeout` seconds.
        """
        limit = time.monotonic() + timeout
        with _errors(f"running {command!r}"):
            transport = self._client.get_transport()
            if transport is None:
                raise SshError("the SSH connection is closed")
            with contextlib.closing(transport.open_session(timeout=CONNECT_LIMIT)) as channel:
                channel.set_combine_stderr(True)
                channel.settimeout(timeout)
                channel.exec_command(command)
                channel.sendall(stdin)
                channel.shutdown_write()
                output = _read_all(channel, command, limit, on_line)
                if not channel.status_event.wait(max(0.1, limit - time.monotonic())):
                    raise SshError(f"{command!r} told no status within {timeout:g} s")
                return Finished(channel.recv_exit_status(), output)

    def put(self, source: Path, target: str) -> None:
        """Copy a file into the guest, making the folders above it."""
        with _errors(f"copying {source} to {target}"):
            self._make_folders(posixpath.dirname(target))
            self._files().put(str(source), target)

    def put_tree(self, source: Path, target: str, files: Iterable[Path] | None = None) -> None:
        """Copy a folder into the guest, or only the given files of it; in one go, as an archive."""
        chosen = sorted(files) if files is not None else sorted(source.rglob("*"))
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for path in chosen:
                if path.is_file():
                    archive.add(path, path.relative_to(source).as_posix(), recursive=False)
        folder = shlex.quote(target)
        command = f"mkdir -p {folder} && tar -x --no-same-owner -C {folder}"
        done = self.run(command, timeout=COPY_LIMIT, stdin=packed.getvalue())
        if done.status != 0:
            raise SshError(f"copying {source} to {target} failed: {done.output.strip()}")

    def get(self, source: str, target: Path) -> None:
        """Copy a file out of the guest."""
        with _errors(f"copying {source} to {target}"):
            self._files().get(source, str(target))

    def client(self) -> paramiko.SSHClient:
        """The connection itself, for an interactive shell."""
        return self._client

    def _files(self) -> paramiko.SFTPClient:
        if self._sftp is None:
            self._sftp = self._client.open_sftp()
            channel = self._sftp.get_channel()
            assert channel is not None  # it is open
            channel.settimeout(COPY_LIMIT)
        return self._sftp

    def _make_folders(self, folder: str) -> None:
        made = "/"
        for part in folder.strip("/").split("/"):
            made = posixpath.join(made, part)
            with contextlib.suppress(OSError):  # it is there already; if not, put() says so
                self._files().mkdir(made)


@contextlib.contextmanager
def _errors(doing: str) -> Iterator[None]:
    """Errors of paramiko and its sockets as SshError."""
    try:
        yield
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise SshError(f"SSH failed while {doing}: {error or type(error).__name__}") from error


def _read_all(
    channel: paramiko.Channel, command: str, limit: float, on_line: Callable[[str], None] | None
) -> str:
    pieces: list[bytes] = []
    rest = b""
    while True:
        channel.settimeout(max(0.1, limit - time.monotonic()))
        try:
            piece = channel.recv(CHUNK)
        except TimeoutError as error:
            raise SshError(f"{command!r} did not end in time") from error
        if not piece:
            break
        pieces.append(piece)
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines if on_line is not None else ():
            assert on_line is not None
            on_line(line.decode(errors="replace"))
    return b"".join(pieces).decode(errors="replace")

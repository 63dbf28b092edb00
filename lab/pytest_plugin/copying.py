"""Files of the host for the guest of a test: packed, handed to the agent in pieces, unpacked."""

from __future__ import annotations

import tarfile
from base64 import b64encode
from io import BytesIO
from pathlib import Path, PurePosixPath

from lab.errors import UsageError
from lab.runner.context import Context

__tracebackhide__ = True
"""For pytest: a traceback ends at the line of the test."""
PIECE = 3 << 18
"""Characters in base 64 that a request has: whole bytes, and less than the 1 MiB of its line."""
PACKED = "/run/blksnap-lab-copy.tar.gz"
UNPACK = (
    'tar -x -z --no-same-owner --no-overwrite-dir --keep-directory-symlink -C / -f "$0"; status=$?'
    '; rm "$0"; exit $status'
)

NO_FOLDER = 'if [ -d "$0" ]; then echo "$0 is a folder" >&2; exit 1; fi'


def copy_in(context: Context, path: Path, to: str) -> None:
    """Copy a file or a folder of the host; `to` is its path in the guest then.

    What a folder holds is added to one that is there. If `path` is a link, what it leads to is
    meant. UsageError if there is no such file, or if `to` is no whole path; StepFailed if the guest
    cannot take it.
    """
    if not PurePosixPath(to).is_absolute() or to.endswith("/"):
        raise UsageError(f"{to} is no whole path in the guest", f"e.g. /root/{path.name}")
    if not path.exists():
        raise UsageError(f"there is no {path.absolute()}")
    if path.is_file():
        context.run(["sh", "-c", NO_FOLDER, to])
    packed = _packed(path.resolve(), to)
    for start in range(0, len(packed), PIECE):
        into = ">>" if start else ">"
        piece = packed[start : start + PIECE]
        context.run(["sh", "-c", f'base64 -d {into}"$0"', PACKED], input=piece)
    context.run(["sh", "-c", UNPACK, PACKED])


def _packed(path: Path, to: str) -> str:
    """A tar file in base 64; what Python compiled stays behind."""
    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(path, to, filter=_wanted)
    return b64encode(packed.getvalue()).decode()


def _wanted(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if PurePosixPath(member.name).name == "__pycache__" else member

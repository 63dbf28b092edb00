"""Namespaces for jobs that are root's: with mounts of their own, and with users of their own.

A user is root in one, and has the numbers of other users for files that are not root's.
"""

import getpass
import os

from lab.errors import EnvironmentLack
from lab.process import CommandFailed, run
from lab.programs import find_program

PROBE_LIMIT = 30.0
_ALLOW = (
    "as root: sysctl user.max_user_namespaces=10000 (on Debian perhaps also"
    " kernel.unprivileged_userns_clone=1, on Ubuntu"
    " kernel.apparmor_restrict_unprivileged_userns=0), or run it as root"
)


def namespace() -> list[str]:
    """What to put before a command so that it runs in a namespace."""
    users = [] if os.geteuid() == 0 else ["--user", "--map-root-user", "--map-auto"]
    return ["unshare", "--mount", *users, "--"]


def require_namespaces() -> None:
    """Try it; EnvironmentLack if no namespace can be had here, with what allows it."""
    if os.geteuid() != 0:
        find_program("newuidmap", package="uidmap")
    try:
        run([*namespace(), "true"], timeout=PROBE_LIMIT)
    except CommandFailed as error:
        said = error.output.strip()
        # /etc/subuid and /etc/subgid, which do not name this user.
        remedy = _give_numbers() if "/etc/sub" in said else _ALLOW
        raise EnvironmentLack(f"no namespace can be had here: {said}", remedy) from error


def _give_numbers() -> str:
    numbers = "--add-subuids 200000-265535 --add-subgids 200000-265535"
    return f"as root: usermod {numbers} {getpass.getuser()}"

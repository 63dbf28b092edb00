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
# Who is root already, and still may not, is so in a container.
_ALLOW_ROOT = (
    "run the container privileged: with CAP_SYS_ADMIN, and with profiles of seccomp and AppArmor"
    " that allow mounts"
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
        raise EnvironmentLack(f"no namespace can be had here: {said}", _remedy(said)) from error


def _remedy(said: str) -> str:
    """What mends it, by what `unshare` said."""
    if os.geteuid() == 0:
        return _ALLOW_ROOT
    if "/etc/sub" not in said:
        return _ALLOW
    # /etc/subuid and /etc/subgid do not name this user.
    numbers = "--add-subuids 200000-265535 --add-subgids 200000-265535"
    return f"as root: usermod {numbers} {getpass.getuser()}"

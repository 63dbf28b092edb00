"""Looking into a machine from below, whatever its guest does: gdb, and a dump of its memory."""

from pathlib import Path

from lab.guest.machine import Machine
from lab.guest.qmp import QmpError

DUMP_LIMIT = 600.0


def serve_gdb(machine: Machine, path: Path) -> None:
    """Let a debugger connect to a socket at a new path; when it does, the machine stops."""
    said = machine.monitor_line(f"gdbserver unix:{path},server=on,wait=off")
    if not path.exists():
        raise QmpError(f"QEMU does not serve a debugger at {path}: {said.strip()}")


def dump_memory(machine: Machine, path: Path) -> None:
    """Write the memory to a new file that crash and drgn read (compressed kdump).

    Before QEMU 8.2 it is kdump's flattened form, which drgn does not know.
    """
    known = machine.qmp("query-dump-guest-memory-capability")["formats"]
    form = "kdump-raw-zlib" if "kdump-raw-zlib" in known else "kdump-zlib"
    dump = {"paging": False, "protocol": f"file:{path}", "format": form}
    machine.qmp("dump-guest-memory", dump, DUMP_LIMIT)

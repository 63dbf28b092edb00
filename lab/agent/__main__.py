"""python3 -m lab.agent --port /dev/virtio-ports/org.blksnap.agent"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import time
from pathlib import Path

from lab.agent import ops
from lab.agent.port import PortGone, open_port
from lab.agent.server import Server
from lab.agent.syscalls import LIBC

_REOPEN_S = 0.1
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4


def main() -> None:
    """Serve the port for as long as the guest lives (or until an inherited descriptor ends)."""
    parser = argparse.ArgumentParser(
        prog="python3 -m lab.agent",
        description="Do what the host asks, one JSON line for each request; see PROTOCOL.md.",
    )
    parser.add_argument(
        "--port",
        required=True,
        help="the port's device node, a name below /dev/virtio-ports, or fd:N for an open one",
    )
    where = parser.parse_args().port
    ops.load_all()
    _prepare_process()
    while True:
        try:
            with open_port(where) as port:
                Server(port).serve()
        except PortGone:
            time.sleep(_REOPEN_S)
            continue
        # The host hung up for good: nobody is left to wait for what threads still do.
        os._exit(0)


def _prepare_process() -> None:
    # A guest driven out of memory on purpose must still be able to say so.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("-1000", encoding="ascii")
    # Nor may it wait for its own pages to come back from a swap device that is being tested.
    LIBC.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT)
    # What is loaded now stays for ever: the collector need not touch it in every clone.
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    main()

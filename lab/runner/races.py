"""How closely KCSAN looks for data races, in a kernel that has it.

It lets one in so many accesses wait for some microseconds, and reports whoever else gets at the
same memory meanwhile (Documentation/dev-tools/kcsan.rst). By its defaults, which are for kernels
that run for days, a scenario of some seconds has a few hundred such moments.
"""

from __future__ import annotations

from lab.runner.context import Context

SKIPPED = "/sys/module/kcsan/parameters/skip_watch"
EVERY = 400
"""One access in so many waits; 4000 by default."""


def look_closely(context: Context) -> None:
    """Have it look at more accesses, until the next boot."""
    if context.kernel.finds_races:
        context.request("write_file", {"path": SKIPPED, "text": str(EVERY)})

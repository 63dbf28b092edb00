"""The mistakes that the module in splat/ makes, and what a debug kernel says of each."""

from __future__ import annotations

from pathlib import Path

from lab.runner.klog import SplatKind

SOURCE = Path(__file__).with_name("splat")

MISTAKES = [
    ("warning", SplatKind.WARNING, "WARNING: CPU: "),
    ("oops", SplatKind.OOPS, "BUG: kernel NULL pointer dereference"),
    ("bug", SplatKind.BUG, "kernel BUG at "),
    ("out-of-bounds", SplatKind.KASAN, "slab-out-of-bounds in splat_out_of_bounds"),
    ("after-free", SplatKind.KASAN, "use-after-free in splat_after_free"),
    ("shift", SplatKind.UBSAN, "UBSAN: shift-out-of-bounds in "),
    ("inversion", SplatKind.LOCKDEP, "WARNING: possible circular locking dependency detected"),
    (
        "sleep",
        SplatKind.SLEEPING,
        "BUG: sleeping function called from invalid context at kernel/locking/mutex.c",
    ),
    ("schedule", SplatKind.SLEEPING, "BUG: scheduling while atomic"),
    ("hang", SplatKind.HUNG_TASK, "blocked for more than 5 seconds"),
    ("stall", SplatKind.RCU, "rcu: INFO: rcu_preempt "),
    ("unguarded", SplatKind.RCU, "WARNING: suspicious RCU usage"),
    ("list", SplatKind.LIST, "list_del corruption"),
    ("refcount", SplatKind.REFCOUNT, "refcount_t: addition on 0; use-after-free"),
    ("panic", SplatKind.PANIC, "Kernel panic - not syncing: splat: that is all"),
    ("slab", SplatKind.SLAB, "Objects remaining in splat"),
    ("module-leak", SplatKind.MODULE_LEAK, "splat: leak: 1 objects"),
    ("lockup", SplatKind.LOCKUP, "BUG: workqueue lockup - pool cpus=0"),
    ("allocation", SplatKind.ALLOCATION, "page allocation failure: order:10"),
    ("oom", SplatKind.OOM, "invoked oom-killer"),
    ("trace", SplatKind.TRACE, "Call Trace:"),
]
"""What the module is told to do, the kind of the report, and what it says."""
ELSEWHERE = {
    "race": SplatKind.KCSAN,
    "sampled": SplatKind.KFENCE,
    "leak": SplatKind.KMEMLEAK,
}
"""Those with a test of their own."""

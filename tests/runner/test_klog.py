"""Every kind of kernel report is recognised, and ordinary lines are not."""

import re

import pytest

from lab.data import data_folder
from lab.flavour import Flavour
from lab.runner.klog import (
    LogLine,
    SplatKind,
    classify,
    concerns,
    device_errors,
    find_splats,
    module_complaints,
    panicked,
    parse_console,
)


def lines(text: str) -> list[LogLine]:
    return [LogLine(line) for line in text.strip("\n").split("\n")]


HEADERS = [
    ("WARNING: CPU: 1 PID: 412 at mm/page_alloc.c:5527 __alloc_pages+0x210", SplatKind.WARNING),
    ("BUG: kernel NULL pointer dereference, address: 0000000000000010", SplatKind.OOPS),
    ("BUG: unable to handle page fault for address: ffffc90000a00000", SplatKind.OOPS),
    ("Oops: 0002 [#1] PREEMPT SMP NOPTI", SplatKind.OOPS),
    ("general protection fault, probably for non-canonical address 0xdead: 0000", SplatKind.OOPS),
    ("kernel BUG at drivers/block/x.c:12!", SplatKind.BUG),
    ("BUG: KASAN: slab-use-after-free in chunk_free+0x12/0x40 [blksnap]", SplatKind.KASAN),
    ("BUG: KCSAN: data-race in a / b", SplatKind.KCSAN),
    ("BUG: KFENCE: out-of-bounds read in x+0x1/0x2", SplatKind.KFENCE),
    ("UBSAN: shift-out-of-bounds in cbt_map.c:33:12", SplatKind.UBSAN),
    ("WARNING: possible circular locking dependency detected", SplatKind.LOCKDEP),
    ("WARNING: possible recursive locking detected", SplatKind.LOCKDEP),
    ("WARNING: inconsistent lock state", SplatKind.LOCKDEP),
    ("INFO: trying to register non-static key.", SplatKind.LOCKDEP),
    ("rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:", SplatKind.RCU),
    ("rcu: INFO: rcu_sched self-detected stall on CPU", SplatKind.RCU),
    ("WARNING: suspicious RCU usage", SplatKind.RCU),
    ("INFO: task fio:731 blocked for more than 120 seconds.", SplatKind.HUNG_TASK),
    ("watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [x:1]", SplatKind.LOCKUP),
    ("BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck", SplatKind.LOCKUP),
    ("BUG: sleeping function called from invalid context at x.c:9", SplatKind.SLEEPING),
    ("BUG: scheduling while atomic: python3/77/0x00000002", SplatKind.SLEEPING),
    ("refcount_t: underflow; use-after-free.", SplatKind.REFCOUNT),
    ("list_del corruption. prev->next should be ffff, but was dead", SplatKind.LIST),
    ("list_add corruption. next->prev should be prev (x), but was y.", SplatKind.LIST),
    ("kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)", SplatKind.KMEMLEAK),
    ("BUG kmalloc-64 (Tainted: G  OE ): Poison overwritten", SplatKind.SLAB),
    ("BUG: Bad page state in process kworker  pfn:1234", SplatKind.SLAB),
    ("blksnap: leak: chunk: 2 objects, 160 bytes", SplatKind.MODULE_LEAK),
    ("blksnap-account: leak of chunk: 1 objects", SplatKind.MODULE_LEAK),
    ("python3: page allocation failure: order:9, mode:0xcc0(GFP_KERNEL)", SplatKind.ALLOCATION),
    ("fio invoked oom-killer: gfp_mask=0x140cca", SplatKind.OOM),
    ("Kernel panic - not syncing: Fatal exception", SplatKind.PANIC),
]

ORDINARY = [
    "blksnap: loading out-of-tree module taints kernel.",
    "blksnap-tracker: device 254:16, capacity 0x80000 sectors",
    "EXT4-fs (vdb): mounted filesystem with ordered data mode. Quota mode: none.",
    "Buffer I/O error on dev blksnap-image0, logical block 0, async page read",
    "blk_update_request: I/O error, dev vdb, sector 8 op 0x0:(READ) flags 0x0",
    "rcu: Hierarchical SRCU implementation.",
    "rcu: RCU calculated value of scheduler-enlistment delay is 25 jiffies.",
    "random: crng reseeded due to virtual machine fork",
    "ACPI BIOS Warning (bug): 32/64X length mismatch in FADT",
    "blksnap: snapshot released",
    "clocksource: timekeeping watchdog on CPU0: Marking clocksource 'tsc' as unstable",
]


@pytest.mark.parametrize(("text", "kind"), HEADERS, ids=[h[0][:40] for h in HEADERS])
def test_a_report_is_recognised_by_its_first_line(text: str, kind: SplatKind) -> None:
    assert classify(text) is kind
    assert [splat.kind for splat in find_splats([LogLine(text)])] == [kind]


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_lines_are_no_reports(text: str) -> None:
    assert classify(text) is None


OOPS = """
blksnap: before
BUG: kernel NULL pointer dereference, address: 0000000000000000
#PF: supervisor write access in kernel mode
#PF: error_code(0x0002) - not-present page
PGD 0 P4D 0
Oops: 0002 [#1] PREEMPT SMP NOPTI
CPU: 0 PID: 312 Comm: python3 Tainted: G           OE      6.1.0-amd64 #1
RIP: 0010:init_module+0x5/0x1000 [blksnap]
Code: Unable to access opcode bytes at 0xffffffffc0000fdb.
RSP: 0018:ffffc90000633c90 EFLAGS: 00010246
Call Trace:
 <TASK>
 do_one_initcall+0x59/0x220
 </TASK>
Modules linked in: blksnap(OE+) bdevfilter(OE)
CR2: 0000000000000000
---[ end trace 0000000000000000 ]---
RIP: 0010:init_module+0x5/0x1000 [blksnap]
Kernel panic - not syncing: Fatal exception
Kernel Offset: disabled
---[ end Kernel panic - not syncing: Fatal exception ]---
"""


def test_an_oops_with_its_panic_is_one_report_with_the_whole_trace() -> None:
    log = lines(OOPS)
    (splat,) = find_splats(log)
    assert splat.kind is SplatKind.OOPS
    assert splat.headline.startswith("BUG: kernel NULL pointer")
    assert any("do_one_initcall" in line for line in splat.trace)
    assert "Kernel panic" in splat.trace[-3]
    assert panicked(log)


def test_the_trace_ends_where_ordinary_lines_go_on() -> None:
    (splat,) = find_splats(
        lines(
            """
WARNING: CPU: 0 PID: 9 at x.c:1 f+0x1/0x2 [blksnap]
Modules linked in: blksnap(OE)
Call Trace:
 <TASK>
 f+0x1/0x2 [blksnap]
 </TASK>
---[ end trace 0000000000000000 ]---
blksnap: snapshot was created
EXT4-fs (vdb): mounted
"""
        )
    )
    assert len(splat.trace) == 7
    assert not any("EXT4" in line for line in splat.trace)


def test_a_report_of_sleeping_is_whole() -> None:
    text = """BUG: sleeping function called from invalid context at kernel/locking/mutex.c:580
in_atomic(): 1, irqs_disabled(): 0, non_block: 0, pid: 186, name: python3
preempt_count: 1, expected: 0
RCU nest depth: 0, expected: 0
1 lock held by python3/186:
 #0: ffffffffc0002038 (spin){+.+.}-{2:2}, at: f+0xf/0x40 [blksnap]
Preemption disabled at:
[<ffffffffc000000f>] f+0xf/0x40 [blksnap]
CPU: 0 PID: 186 Comm: python3 Tainted: G           O       6.1.0 #1
Call Trace:
 f+0x1f/0x40 [blksnap]"""
    (splat,) = find_splats(lines(text))
    assert splat.trace == tuple(text.splitlines())


def test_two_warnings_are_two_reports() -> None:
    text = "WARNING: CPU: 0 PID: 9 at x.c:1 f\nCall Trace:\n g+0x1\n"
    assert len(find_splats(lines(text * 2))) == 2


def test_list_corruption_and_its_bug_are_one_report() -> None:
    text = "list_del corruption. prev->next should be a, but was b\n------------[ cut here ]---\n"
    text += "kernel BUG at lib/list_debug.c:56!\ninvalid opcode: 0000 [#1] SMP\n"
    (splat,) = find_splats(lines(text))
    assert splat.kind is SplatKind.LIST


def test_a_trace_without_a_known_header_is_a_report() -> None:
    (splat,) = find_splats(lines("something new in the kernel\nCall Trace:\n f+0x1/0x2\n"))
    assert (splat.kind, splat.headline) == (SplatKind.TRACE, "something new in the kernel")


def test_the_console_gives_the_same_lines() -> None:
    console = "init: hello\r\n\x1b[0m[    3.000001] BUG: KASAN: x in y\r\n<4>[   12.5] no\r\n"
    console += "<3>[   13.000002][  T12] Kernel panic - not syncing: oops\r\n"
    parsed = parse_console(console)
    assert [line.text for line in parsed] == [
        "BUG: KASAN: x in y",
        "Kernel panic - not syncing: oops",
    ]
    assert parsed[1].level == 3
    assert parsed[0].time_us == 3_000_001


def test_module_lines_above_info_are_complaints_but_not_the_taint_notice() -> None:
    log = [
        LogLine("blksnap: loading out-of-tree module taints kernel.", 4),
        LogLine("bdevfilter: module verification failed: tainting kernel", 5),
        LogLine("blksnap-snapshot: created", 6),
        LogLine("blksnap-diff-area: device 254:16 is corrupted with error 28", 3),
        LogLine("EXT4-fs error (device vdb)", 3),
    ]
    assert [line.text for line in module_complaints(log, Flavour().log)] == [log[3].text]


@pytest.mark.parametrize(
    ("text", "device"),
    [
        ("I/O error, dev vdb, sector 8 op 0x1:(WRITE) flags 0x8800 phys_seg 1 prio class 2", "vdb"),
        ("blk_update_request: I/O error, dev sda, sector 8 op 0x0:(READ) flags 0x0", "sda"),
        ("critical medium error, dev sda, sector 4660 op 0x0:(READ) flags 0x0", "sda"),
        ("Buffer I/O error on dev vdb, logical block 2, lost async page write", "vdb"),
        ("Buffer I/O error on device dm-0, logical block 13594", "dm-0"),
        ("EXT4-fs error (device vdb): ext4_find_entry:1455: inode #2: comm ls: reading", "vdb"),
        ("EXT4-fs (vdb): I/O error while writing superblock", "vdb"),
        ("JBD2: I/O error when updating journal superblock for vdb-8.", "vdb"),
        ("Aborting journal on device vdb-8.", "vdb"),
        ("XFS (vdc): metadata I/O error in daddr 0x8 len 8 error 5", "vdc"),
        ("XFS (vdc): log I/O error -5", "vdc"),
        ("XFS (vdc): Filesystem has been shut down due to log error (0x2).", "vdc"),
        ("BTRFS error (device vdb): bdev /dev/vdb errs: wr 1, rd 0, error", "vdb"),
        ("BTRFS critical (device vdb): IO error while writing", "vdb"),
        ("BTRFS error (device vdb: state EA): error writing primary super block", "vdb"),
        ("BTRFS: error (device vdb) in btrfs_commit_transaction:2460: errno=-5 IO error", "vdb"),
        ("F2FS-fs (vdb): Issue discard failed, ret: -5, error", "vdb"),
        ("F2FS-fs (vdb): checkpoint stopped", "vdb"),
    ],
)
def test_lines_of_failed_io_and_what_came_of_it(text: str, device: str) -> None:
    assert [name for name, _ in device_errors([LogLine(text, 3)])] == [device]


@pytest.mark.parametrize(
    "text",
    [
        "EXT4-fs (vdb): mounted filesystem with ordered data mode. Opts: errors=remount-ro",
        "EXT4-fs (vdb): recovery complete",
        "XFS (vdc): Unmounting Filesystem",
        "blksnap-diff-area: image of 254:16 is spoiled: error 5",
        "device-mapper: error: unknown target",
    ],
)
def test_other_lines_of_devices_are_none(text: str) -> None:
    assert device_errors([LogLine(text, 4)]) == []


FUNCTION = re.compile(r"^(?:[a-z].*?[ *])?([a-z]\w+)\([^()]*[,)]$", re.MULTILINE)


@pytest.mark.parametrize("file", ["kernel/blk-filter.c", "blk-filter-settle.c"])
def test_races_of_filters_in_the_block_layer_are_ours(file: str) -> None:
    names = set(FUNCTION.findall((data_folder("guest_module") / file).read_text()))
    assert len(names) > 4
    for name in names:
        (splat,) = find_splats([LogLine(f"BUG: KCSAN: data-race in {name} / bio_endio")])
        assert concerns(splat, ("blksnap", "bdevfilter")), name
    (splat,) = find_splats([LogLine("BUG: KCSAN: data-race in blk_mq_get_tag / bio_endio")])
    assert not concerns(splat, ("blksnap", "bdevfilter"))


@pytest.mark.parametrize(
    "racers",
    [
        "diff_io_scope_leave [blksnap] / kthread_is_per_cpu",
        "kthread_is_per_cpu / diff_io_scope_leave [blksnap]",
    ],
)
def test_the_scheduler_reading_flags_of_a_task_is_no_race_of_ours(racers: str) -> None:
    (splat,) = find_splats([LogLine(f"BUG: KCSAN: data-race in {racers}")])
    assert not concerns(splat, ("blksnap", "bdevfilter"))
    (splat,) = find_splats(
        [LogLine(f"BUG: KCSAN: data-race in {racers}".replace("is_per_cpu", "data"))]
    )
    assert concerns(splat, ("blksnap", "bdevfilter"))


TARGET = """\
WARNING: possible circular locking dependency detected
6.1.192-debug #1 Tainted: G           O
------------------------------------------------------
kworker/0:2/69 is trying to acquire lock:
ffff88800613e030 ((work_completion)(&queue->io_work)){+.+.}-{0:0}, at: __flush_work+0xc5/0x900

but task is already holding lock:
ffff88800ac37db8 ((work_completion)(&queue->release_work)){+.+.}-{0:0}, at: process_one_work+0x822
 nvmet_tcp_install_queue+0x76/0x2f0 [nvmet_tcp]
"""


def test_what_lockdep_says_of_the_kernels_nvme_target_is_not_ours() -> None:
    def concerned(text: str) -> bool:
        (splat,) = find_splats(LogLine(line) for line in text.splitlines())
        assert splat.kind is SplatKind.LOCKDEP
        return concerns(splat, ("blksnap", "bdevfilter"))

    assert not concerned(TARGET)
    assert concerned(TARGET.replace("release_work", "other_work"))
    assert concerned(TARGET + " tracker_submit_bio+0x76/0x2f0 [blksnap]\n")
    assert concerned(TARGET + " blk_filters_run+0x76/0x2f0\n")

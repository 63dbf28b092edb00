"""Every automatic check turns red when what it checks is broken; none of it is in the scenario."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab.runner.verdict import ScenarioResult, Verdict

from .conftest import CYCLE
from .fake_guest import Misfortune

RunOne = Callable[..., ScenarioResult]
OVERFLOW = """
summary: The storage is exhausted and the event is waited for
disks:
  a: {size: 1MiB}
  store: {size: 64KiB}
steps:
  - write: {device: a}
  - create: {devices: [a]}
  - append_storage: {device: store}
  - take:
  - write: {device: a, size: 512KiB}
  - wait_event: {expect: corrupted, errno: ENOSPC, device: a, skip: [low_space]}
"""
UNEXPECTED_OVERFLOW = "\n".join(OVERFLOW.strip().split("\n")[:-1])


def test_a_module_that_keeps_the_contract_passes(run_one: RunOne) -> None:
    result = run_one()
    assert result.findings == ()
    assert result.verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("broken", "where", "what"),
    [
        ("no copy before write", "images and maps", "image of a in s, sector 64"),
        ("writes not tracked", "next increment", "CBT map of a, block 0"),
        ("one block too many", "next increment", "CBT map of a, block 3"),
        ("original sector lost", "originals", "original a, sector 0"),
        ("original misplaced", "originals", "original a, sector"),
        ("original written at destroy", "originals at the end", "original a, sector 3"),
        ("image too short", "images and maps", "image of a"),
        ("images in another order", "steps[3]", "the images of snapshot"),
        ("number stays", "steps[3]", "number 0"),
        ("spoiled for no reason", "images and maps", "nobody expected"),
        ("snapshot stays", "snapshots destroyed", "still there"),
        ("tracker stays", "trackers removed", "still tracked"),
        ("leak", "memory given back", "tracker: 1 objects"),
        ("no counters", "memory given back", "cannot be read"),
        ("module busy", "module unloaded", "EBUSY"),
        ("left behind", "nothing left behind", "blksnap-image0"),
    ],
)
def test_a_broken_module_fails(run_one: RunOne, broken: str, where: str, what: str) -> None:
    text = CYCLE.replace("[a]", "[a, store]") if "order" in broken else CYCLE
    result = run_one(text, broken)
    assert result.verdict is Verdict.FAILED
    assert result.findings[0].where.startswith(where)
    assert what in result.findings[0].what


def test_tracker_of_a_gone_device_says_no_more_than_its_number(run_one: RunOne) -> None:
    result = run_one(CYCLE, "dead tracker with a number")
    assert result.verdict is Verdict.FAILED
    assert "7:9 is gone, and not all zeros" in result.findings[0].what


def test_a_leak_that_only_the_unload_tells_of_is_found(run_one: RunOne) -> None:
    result = run_one(misfortunes=(Misfortune("module_unload", "leak"),))
    assert result.verdict is Verdict.SPLAT
    assert "leak: cbt_map: 1 objects" in result.findings[0].what
    both = run_one(CYCLE, "leak", misfortunes=(Misfortune("module_unload", "leak"),))
    assert both.findings[0].where.startswith("memory given back")
    assert [one.verdict for one in both.consequences] == [Verdict.SPLAT]


def test_tracker_of_a_gone_device_hides_no_other_leak(run_one: RunOne) -> None:
    assert run_one(CYCLE, "dead tracker").verdict is Verdict.PASSED
    result = run_one(CYCLE, "dead tracker", "leaked snapshot")
    assert result.findings[0].where.startswith("memory given back")
    assert "snapshot: 1 objects" in result.findings[0].what
    assert "tracker" not in result.findings[0].what


@pytest.mark.parametrize(
    ("broken", "what"),
    [
        ("new data after overflow", "must be error EIO"),
        ("spoiled without event", "no event within"),
        ("event twice", "a second one"),
        ("spoiled without a line", "spoiled by events: 254:16 ENOSPC; by lines of the log: none"),
        ("line twice", "by lines of the log: 254:16 ENOSPC, 254:16 ENOSPC"),
    ],
)
def test_a_wrong_overflow_fails(run_one: RunOne, broken: str, what: str) -> None:
    assert run_one(OVERFLOW).findings == ()
    result = run_one(OVERFLOW, broken)
    assert result.verdict is Verdict.FAILED
    assert what in result.findings[0].what


def test_an_overflow_that_no_step_expects_fails(run_one: RunOne) -> None:
    result = run_one(UNEXPECTED_OVERFLOW)
    assert result.verdict is Verdict.FAILED
    assert "nobody expected: event corrupted, device a, ENOSPC" in result.findings[0].what


def test_a_report_in_the_kernel_log_is_a_splat_with_its_trace(run_one: RunOne) -> None:
    result = run_one(misfortunes=(Misfortune("snapshot_destroy", "splat"),))
    assert result.verdict is Verdict.SPLAT
    assert "chunk_free" in result.findings[0].what
    assert any("Call Trace" in line for line in result.findings[0].detail)


def test_a_report_that_came_with_a_failure_came_before_it(run_one: RunOne) -> None:
    twice = (Misfortune("snapshot_take", "splat"), Misfortune("snapshot_take", "5"))
    result = run_one(misfortunes=twice)
    assert result.verdict is Verdict.SPLAT
    assert [one.verdict for one in result.consequences] == [Verdict.FAILED]


@pytest.mark.parametrize("text", [CYCLE, OVERFLOW])
@pytest.mark.parametrize("kind", ["complaint", "notice"])
def test_a_module_line_above_info_level_fails(run_one: RunOne, text: str, kind: str) -> None:
    result = run_one(text, misfortunes=(Misfortune("snapshot_take", kind),))
    assert result.verdict is Verdict.FAILED
    assert "this is odd" in result.findings[0].what


def test_a_write_that_failed_without_a_program_that_is_told_fails(run_one: RunOne) -> None:
    result = run_one(misfortunes=(Misfortune("snapshot_take", "failed write-back"),))
    assert result.verdict is Verdict.FAILED
    assert result.findings[0].where == "no I/O failed"
    assert "lost async page write" in result.findings[0].what
    image = Misfortune("snapshot_take", "failed read of an image")
    assert run_one(misfortunes=(image,)).verdict is Verdict.PASSED


REFUSED = CYCLE + "  - expect_error: {errno: EALREADY, step: {take: {}}}\n"


@pytest.mark.parametrize("kind", ["complaint", "failed write-back"])
def test_only_what_is_said_while_a_step_fails_that_was_meant_to_is_excused(
    run_one: RunOne, kind: str
) -> None:
    assert run_one(REFUSED, misfortunes=(Misfortune("snapshot_take", kind, 2),)).findings == ()
    result = run_one(REFUSED, misfortunes=(Misfortune("snapshot_take", kind, 1),))
    assert result.verdict is Verdict.FAILED


def test_a_disk_that_was_to_fail_must_have(run_one: RunOne) -> None:
    text = CYCLE.replace("a: {size: 1MiB", "a: {errors: [{of: write}], size: 1MiB")
    assert text != CYCLE
    result = run_one(text)
    assert (result.verdict, result.findings[0].where) == (Verdict.FAILED, "no I/O failed")
    assert "no I/O of a failed" in result.findings[0].what
    failed = Misfortune("snapshot_take", "failed write-back")
    assert run_one(text, misfortunes=(failed,)).verdict is Verdict.PASSED


def test_the_first_failure_wins_and_the_rest_is_kept(run_one: RunOne) -> None:
    result = run_one(CYCLE, "original sector lost", "module busy")
    assert "original a" in result.findings[0].what
    assert [one.where for one in result.consequences] == [
        "images and maps",
        "module unloaded",
        "originals at the end",
    ]


FAILED_TAKE = """
summary: A take fails as it was told to and is tried again
disks:
  a: {size: 1MiB}
  store: {size: 4MiB}
steps:
  - create: {devices: [a]}
  - append_storage: {device: store}
  - inject: {point: image_new, times: 1}
  - expect_error: {errno: ENOMEM, step: {take: {}}}
  - take:
"""
LOST_MAP = """
summary: An update of the map fails as it was told to
disks:
  a: {size: 1MiB}
  store: {size: 4MiB}
steps:
  - create: {devices: [a]}
  - append_storage: {device: store}
  - take:
  - inject: {point: map_update, device: a}
  - write: {device: a, size: 64KiB}
  - expect_error: {errno: EFAULT, step: {read_cbt: {device: a}}}
"""


def test_an_injected_failure_that_happens_passes(run_one: RunOne) -> None:
    assert run_one(FAILED_TAKE).findings == ()


def test_an_injected_failure_that_never_happens_fails(run_one: RunOne) -> None:
    result = run_one(FAILED_TAKE.replace("times: 1", "times: 3").replace("  - take:", ""))
    assert result.verdict is Verdict.FAILED
    assert result.findings[0].what == "never happened: injected image_new 0 2"


def test_nor_does_it_pass_if_the_module_has_gone_since(run_one: RunOne) -> None:
    end = "  - destroy: {compare: false}\n  - module_unload:"
    result = run_one(FAILED_TAKE.replace("times: 1", "times: 3").replace("  - take:", end))
    assert result.verdict is Verdict.FAILED
    assert result.findings[0].where.startswith("steps[5]")
    assert result.findings[0].what == "never happened: injected image_new 0 2"


def test_a_map_that_lost_an_update_must_not_be_readable(run_one: RunOne) -> None:
    assert run_one(LOST_MAP).findings == ()
    quiet = "\n".join(LOST_MAP.strip().split("\n")[:-1])
    assert run_one(quiet).findings == ()
    result = run_one(quiet, "lost map is readable")
    assert result.verdict is Verdict.FAILED
    assert "readable; must be EFAULT" in result.findings[0].what


AT_ONCE = """
summary: Taken by four at once, destroyed under two waiters
disks:
  a: {size: 1MiB}
  store: {size: 4MiB}
steps:
  - create: {devices: [a]}
  - append_storage: {device: store}
  - take: {callers: 4}
  - destroy: {waiters: 2}
"""


@pytest.mark.parametrize(
    ("broken", "what"),
    [
        ("taken twice", "4 of 4 takes at once succeeded"),
        ("waiters are told nothing", "2 of 2 waiters: ended with {'event': None,"),
    ],
)
def test_commands_at_the_same_time(run_one: RunOne, broken: str, what: str) -> None:
    assert run_one(AT_ONCE).findings == ()
    result = run_one(AT_ONCE, broken)
    assert result.verdict is Verdict.FAILED
    assert what in result.findings[0].what


def test_a_part_of_a_map_is_compared_with_that_part(run_one: RunOne) -> None:
    part = CYCLE + "  - read_cbt: {device: a, offset: 3, length: %s}\n"
    assert run_one(part % 2).findings == ()
    assert run_one(part % 4000).findings == ()
    result = run_one(part % 4000, "map cut short")
    assert result.verdict is Verdict.FAILED
    assert "blocks up to 15; must be up to 16" in result.findings[0].what


WAIT = """
summary: Nothing comes, within the milliseconds that were asked for
disks:
  a: {size: 1MiB}
steps:
  - create: {devices: [a]}
  - wait_event: {expect: low_space}
  - wait_event: {expect: none, within_ms: 100, on_time: true}
"""


@pytest.mark.parametrize(
    ("broken", "what"),
    [
        ("waits in jiffies", "a wait of 100 ms took 400.0 ms, the shortest of 5"),
        ("wakes early", "a wait of 100 ms came back after 98.0 ms"),
    ],
)
def test_a_wait_that_does_not_take_its_time_fails(run_one: RunOne, broken: str, what: str) -> None:
    assert run_one(WAIT).findings == ()
    result = run_one(WAIT, broken)
    assert result.verdict is Verdict.FAILED
    assert what in result.findings[0].what


def test_an_event_where_none_must_come_fails(run_one: RunOne) -> None:
    result = run_one(WAIT.replace("  - wait_event: {expect: low_space}\n", ""))
    assert result.verdict is Verdict.FAILED
    assert "event low_space, 2097152 sectors asked for; must be none" in result.findings[0].what


NOWAIT = """
  - name: one in what is copied, two that must wait
    write: {device: a, how: nowait, refused: [2, 2], ranges: [
      {at: 8KiB, size: 4KiB}, {at: 252KiB, size: 8KiB}, {at: 512KiB, size: 4KiB}]}
"""


@pytest.mark.parametrize(
    ("broken", "where", "what"),
    [
        ("nothing is refused", "steps[5]", "0 of 3 writes got EAGAIN; must be 2 to 2"),
        ("refused writes are done", "originals", "original a, sector 504"),
    ],
)
def test_a_write_that_must_not_wait_is_done_or_refused(
    run_one: RunOne, broken: str, where: str, what: str
) -> None:
    text = CYCLE.rstrip() + NOWAIT
    assert run_one(text).findings == ()
    finding = run_one(text, broken).findings[0]
    assert finding.where.startswith(where)
    assert what in finding.what

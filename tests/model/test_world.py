"""The model as the runner uses it: writes, takes, images, windows, storage, backups."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.model.loads import NO_END, check_ring, check_ring_slots
from lab.model.seen import LoadWrite, MapRun, Seen, SeenKind, TrackerSeen
from lab.model.world import World
from lab.scenario.devices import Device
from lab.scenario.steps_io import ImageExpect
from lab.scenario.steps_snapshot import BackupMode

SIZE = 1024


def world(**parameters: int) -> World:
    made = World(parameters)
    for name in ("a", "b", "store"):
        made.add_disk(name, SIZE)
    return made


def write(model: World, device: str, sector: int, count: int) -> int:
    plan = model.plan_write(device, [(sector, count)], "test")
    model.wrote(device, plan, "direct")
    return plan[0][2]


def held(model: World, *devices: str, name: str = "s") -> None:
    model.created(name, devices)
    model.appended(name, "store", [(0, 512)])
    model.taken(name, 100, 200)


def zeros(sector: int, count: int) -> Seen:
    return Seen(sector, count, SeenKind.ZERO)


def stamps(tag: int, seq: int, sector: int, count: int, origin: int | None = None) -> Seen:
    start = sector if origin is None else origin
    return Seen(sector, count, SeenKind.STAMP, tag, seq, start)


def refused(sector: int, count: int, number: int = errno.EIO) -> Seen:
    return Seen(sector, count, SeenKind.ERROR, errno=number)


def test_an_image_keeps_what_was_there_at_the_take() -> None:
    model = world()
    first = write(model, "a", 8, 8)
    held(model, "a")
    second = write(model, "a", 12, 8)
    tag = model.tag("a")
    now = [
        zeros(0, 8), stamps(tag, first, 8, 4), stamps(tag, second, 12, 8), zeros(20, SIZE - 20),
    ]  # fmt: skip
    then = [zeros(0, 8), stamps(tag, first, 8, 8), zeros(16, SIZE - 16)]
    assert model.compare_original("a", now) == ()
    assert model.compare_image("s", "a", then) == ()
    wrong = model.compare_image("s", "a", now)
    assert [(one.first, one.count) for one in wrong] == [(12, 4), (16, 4)]
    assert f"write {second} to a (test)" in wrong[0].found
    assert "zeros" in wrong[1].allowed


def test_what_was_not_read_is_a_disagreement() -> None:
    model = world()
    found = model.compare_original("a", [zeros(0, 10), zeros(20, SIZE - 20)])
    assert [(one.first, one.count) for one in found] == [(10, 10)]


def test_a_stamp_at_the_wrong_place_is_a_disagreement_that_names_the_place() -> None:
    model = world()
    seq = write(model, "a", 0, SIZE)
    tag = model.tag("a")
    found = model.compare_original(
        "a", [stamps(tag, seq, 0, 16), stamps(tag, seq, 16, 8, 24), stamps(tag, seq, 24, SIZE - 24)]
    )
    assert [(one.first, one.count) for one in found] == [(16, 8)]
    assert "for sector 24" in found[0].found


def test_garbage_and_errors_are_never_right_where_content_is_known() -> None:
    model = world()
    garbage = Seen(0, 4, SeenKind.GARBAGE, detail="crc 1234")
    found = model.compare_original("a", [garbage, refused(4, 4), zeros(8, SIZE - 8)])
    assert len(found) == 2
    assert "crc 1234" in found[0].found
    assert "EIO" in found[1].found


def test_a_spoiled_image_must_refuse_every_sector_with_eio() -> None:
    model = world()
    held(model, "a", "b")
    model.corrupted("s", "a", errno.ENOSPC, 300)
    assert model.compare_image("s", "a", [refused(0, SIZE)]) == ()
    assert model.compare_image("s", "a", [refused(0, 8), zeros(8, SIZE - 8)]) != ()
    assert model.compare_image("s", "a", [refused(0, SIZE, errno.EINVAL)]) != ()
    assert model.compare_image("s", "b", [refused(0, SIZE)]) != ()
    half = [refused(0, 512), zeros(512, 512)]
    assert model.compare_image("s", "b", half, expect=ImageExpect.MODEL_OR_EIO) == ()


def test_an_image_keeps_its_size_and_map_when_the_original_grows() -> None:
    model = world(tracking_block_minimum_shift=16)
    first = write(model, "a", 0, SIZE)
    held(model, "a")
    model.resized("a", 2 * SIZE)
    across, beyond = write(model, "a", SIZE - 8, 16), write(model, "a", 2 * SIZE - 8, 8)
    tag = model.tag("a")
    assert model.compare_image("s", "a", [stamps(tag, first, 0, SIZE)]) == ()
    longer = [stamps(tag, first, 0, SIZE), zeros(SIZE, 8)]
    (wrong,) = model.compare_image("s", "a", longer, count=SIZE + 8)
    assert "must be the device's end" in str(wrong)
    now = [
        stamps(tag, first, 0, SIZE - 8), stamps(tag, across, SIZE - 8, 16),
        zeros(SIZE + 8, SIZE - 16), stamps(tag, beyond, 2 * SIZE - 8, 8),
    ]  # fmt: skip
    assert model.compare_original("a", now) == ()
    assert model.compare_map("a", [MapRun(0, 8, 0)]) == ()
    model.destroyed("s")
    held(model, "a")
    assert model.compare_map("a", [MapRun(0, 16, 0)]) == ()
    assert model.compare_image("s", "a", now) == ()


def test_an_image_keeps_its_size_when_the_original_shrinks() -> None:
    model = world()
    first = write(model, "a", 0, SIZE)
    held(model, "a")
    model.resized("a", SIZE // 2)
    tag = model.tag("a")
    assert model.compare_original("a", [stamps(tag, first, 0, SIZE // 2)]) == ()
    whole = [stamps(tag, first, 0, SIZE)]
    assert model.compare_image("s", "a", whole) == ()
    assert model.compare_original("a", whole, 0, SIZE) != ()
    model.resized("a", SIZE)
    grown = [stamps(tag, first, 0, SIZE // 2), zeros(SIZE // 2, SIZE // 2)]
    assert model.compare_original("a", grown) == ()
    assert model.compare_image("s", "a", whole) == ()


def test_a_window_that_shrinks_shows_what_lay_behind_its_end_when_it_grows_back() -> None:
    model = world()
    model.add_stack("l", Device.model_validate({"linear": {"on": "a"}}), SIZE)
    first, tag = write(model, "l", 0, SIZE), model.tag("l")
    held(model, "l")
    model.resized("l", SIZE // 2)
    whole = [stamps(tag, first, 0, SIZE)]
    assert model.compare_original("l", [stamps(tag, first, 0, SIZE // 2)]) == ()
    assert model.compare_original("a", whole) == ()
    assert model.compare_image("s", "l", whole) == ()
    model.resized("l", SIZE)
    assert model.compare_original("l", whole) == ()


def test_writes_into_an_image_are_its_own_and_show_in_both_maps() -> None:
    model = world()
    held(model, "a")
    plan = model.plan_image_write("s", "a", [(0, 4)], "test")
    model.wrote_image("s", "a", plan)
    own = stamps(model.tag("a"), plan[0][2], 0, 4)
    assert model.compare_image("s", "a", [own, zeros(4, SIZE - 4)]) == ()
    assert model.compare_original("a", [zeros(0, SIZE)]) == ()
    assert model.compare_map("a", [MapRun(0, 1, 1), MapRun(1, 7, 0)]) == ()
    model.destroyed("s")
    held(model, "a")
    assert model.compare_map("a", [MapRun(0, 1, 2), MapRun(1, 7, 0)]) == ()


def test_a_discarded_sector_holds_the_old_data_or_zeros_and_nothing_else() -> None:
    model = world()
    seq = write(model, "a", 0, SIZE)
    model.discarded("a", [(0, 8)])
    tag = model.tag("a")
    rest = stamps(tag, seq, 8, SIZE - 8)
    assert model.compare_original("a", [zeros(0, 8), rest]) == ()
    assert model.compare_original("a", [stamps(tag, seq, 0, 8), rest]) == ()
    assert model.compare_original("a", [stamps(tag, seq + 1, 0, 8), rest]) != ()


def test_a_write_that_failed_may_have_happened_or_not() -> None:
    model = world()
    held(model, "a")
    plan = model.plan_write("a", [(0, 8)], "test")
    model.wrote("a", plan, "nowait", failed=True)
    tag, seq = model.tag("a"), plan[0][2]
    assert model.compare_original("a", [zeros(0, SIZE)]) == ()
    assert model.compare_original("a", [stamps(tag, seq, 0, 8), zeros(8, SIZE - 8)]) == ()
    model.destroyed("s")
    held(model, "a")
    for value in (0, 2):
        assert model.compare_map("a", [MapRun(0, 1, value), MapRun(1, 7, 0)]) == ()


def test_storage_on_the_original_hides_only_its_own_sectors() -> None:
    model = world()
    model.created("s", ("a",))
    model.appended("s", "a", [(512, 256)])
    model.taken("s", 0, 0)
    garbage = Seen(512, 256, SeenKind.GARBAGE)
    assert model.compare_image("s", "a", [zeros(0, 512), garbage, zeros(768, 256)]) == ()
    longer = Seen(512, 257, SeenKind.GARBAGE)
    assert model.compare_image("s", "a", [zeros(0, 512), longer, zeros(769, 255)]) != ()
    model.appended("s", "a", [(0, 8)])
    start = Seen(0, 8, SeenKind.GARBAGE)
    assert model.compare_image("s", "a", [start, zeros(8, 504), garbage, zeros(768, 256)]) == ()
    assert model.storage_ranges("a") == ((0, 8), (512, 256))
    assert model.compare_map("a", [MapRun(0, 8, 0)]) == ()


def partition(model: World) -> None:
    spec = Device.model_validate({"partition": {"on": "a", "at": "256s", "size": "512s"}})
    model.add_stack("p", spec, 512)


def test_a_write_through_a_partition_is_seen_on_the_disk_and_the_reverse() -> None:
    model = world()
    partition(model)
    held(model, "a", "p")
    through = write(model, "p", 0, 8)
    below = write(model, "a", 256 + 128, 8)
    disk = [
        zeros(0, 256),
        stamps(model.tag("p"), through, 256, 8, 0),
        zeros(264, 120),
        stamps(model.tag("a"), below, 384, 8),
        zeros(392, SIZE - 392),
    ]
    part = [
        stamps(model.tag("p"), through, 0, 8),
        zeros(8, 120),
        stamps(model.tag("a"), below, 128, 8, 384),
        zeros(136, 512 - 136),
    ]
    assert model.compare_original("a", disk) == ()
    assert model.compare_original("p", part) == ()
    assert model.compare_image("s", "p", [zeros(0, 512)]) == ()
    model.destroyed("s")
    held(model, "a", "p")
    assert model.compare_map("a", [MapRun(0, 2, 0), MapRun(2, 2, 2), MapRun(4, 4, 0)]) == ()
    assert model.compare_map("p", [MapRun(0, 2, 2), MapRun(2, 2, 0)]) == ()


@pytest.mark.parametrize(("end", "number"), [(256 + 512, 2), (256 + 511, 1)])
def test_a_partition_begins_anew_only_if_its_disk_was_too_short_for_it(
    end: int, number: int
) -> None:
    model = world()
    partition(model)
    held(model, "p")
    model.destroyed("s")
    model.resized("a", end)
    model.resized("a", SIZE)
    held(model, "p")
    assert model.compare_tracker("p", TrackerSeen(65536, 512 * 512, 4, "any", number)) == ()


def test_a_write_to_a_mapped_device_is_seen_below_but_not_the_reverse() -> None:
    model = world()
    spec = Device.model_validate({"linear": {"on": "a", "at": "128s", "size": "512s"}})
    model.add_stack("l", spec, 512)
    held(model, "a", "l")
    write(model, "l", 0, 1)
    write(model, "a", 384, 1)
    model.destroyed("s")
    held(model, "a", "l")
    lower = [MapRun(0, 1, 0), MapRun(1, 1, 2), MapRun(2, 1, 0), MapRun(3, 1, 2), MapRun(4, 4, 0)]
    assert model.compare_map("a", lower) == ()
    assert model.compare_map("l", [MapRun(0, 1, 2), MapRun(1, 3, 0)]) == ()


def test_while_a_file_system_is_mounted_nothing_is_known_of_its_device() -> None:
    model = world()
    model.created("s", ("a",))
    model.mounted("a")
    model.appended("s", "store", [(0, 512)])
    model.taken("s", 0, 0)
    for value in (0, 1):
        assert model.compare_map("a", [MapRun(0, 8, value)]) == ()
    assert model.compare_map("a", [MapRun(0, 8, 2)]) != ()
    assert model.doubtful_ranges("a", "s") == ((0, SIZE),)
    model.unmounted("a")
    model.destroyed("s")
    model.created("s", ("a",))
    model.appended("s", "store", [(0, 512)])
    model.taken("s", 0, 0)
    model.destroyed("s")
    held(model, "a")
    assert model.compare_map("a", [MapRun(0, 8, 3)]) != ()


@settings(max_examples=200)
@given(st.data())
def test_a_load_permits_every_image_that_some_instant_of_the_take_could_give(
    data: st.DataObject,
) -> None:
    begin, end = 100, 200
    instant = data.draw(st.integers(begin, end - 1))
    clock = data.draw(st.integers(0, 150))
    model = world()
    load_tag = model.writers_started("w", "a")
    model.created("s", ("a",))
    model.appended("s", "store", [(0, 512)])
    model.taken("s", begin, end)
    writes, image, last = [], 0, 0
    for seq in range(1, data.draw(st.integers(1, 6)) + 1):
        issued = clock + data.draw(st.integers(1, 30))
        clock = issued + data.draw(st.integers(1, 60))
        writes.append(LoadWrite(seq, 0, 1, issued, clock))
        if data.draw(st.integers(issued, clock)) <= instant and issued < end:
            image = seq if issued <= instant else image
        last = seq
    model.load_progress("w", writes)
    rest = zeros(1, SIZE - 1)
    first = zeros(0, 1) if image == 0 else stamps(load_tag, image, 0, 1)
    assert model.compare_image("s", "a", [first, rest]) == ()
    assert model.compare_original("a", [stamps(load_tag, last, 0, 1), rest]) == ()
    surely_in = max((w.seq for w in writes if w.done is not None and w.done < begin), default=0)
    surely_out = min((w.seq for w in writes if w.issued >= end), default=None)
    if surely_in > 1:
        assert model.compare_image("s", "a", [stamps(load_tag, 1, 0, 1), rest]) != ()
    if surely_out is not None:
        assert model.compare_image("s", "a", [stamps(load_tag, surely_out, 0, 1), rest]) != ()


def test_what_an_image_may_hold_ends_with_the_last_write_issued_before_its_take() -> None:
    model = world()
    tag, before, after = model.tag("a"), *(model.writers_started(n, "a") for n in ("w", "v"))
    write(model, "a", 8, 8)
    write(model, "a", 24, 8)
    assert model.newest_writes("a", None) == {0: 0, tag: 2}
    model.load_progress("w", [LoadWrite(1, 0, 1, 10, 20), LoadWrite(2, 0, 1, 30, 40)])
    held(model, "a")
    write(model, "a", 8, 8)
    called, returned = model._snapshots["s"].images["a"].took
    model.load_progress("w", [LoadWrite(3, 4, 1, called - 1, None)])
    model.load_progress("w", [LoadWrite(4, 5, 1, called, None)])
    model.load_progress("w", [LoadWrite(5, 6, 1, returned, returned + 9)])
    model.load_progress("v", [LoadWrite(1, 7, 1, returned, returned + 9)])
    assert model.newest_writes("a", "s") == {0: 0, tag: 2, before: 4}
    assert model.newest_writes("a", None) == {0: 0, tag: 3, before: 5, after: 1}
    model.image_mounted("s", "a")
    into = model.writers_started("i", "a", "s")
    assert model.newest_writes("a", "s") == {tag: 3, into: NO_END}


def test_a_write_seen_in_flight_is_settled_by_the_later_report() -> None:
    model = world()
    tag = model.writers_started("w", "a")
    model.load_progress("w", [LoadWrite(1, 0, 1, 10, None)])
    rest = zeros(1, SIZE - 1)
    assert model.compare_original("a", [zeros(0, 1), rest]) == ()
    assert model.compare_original("a", [stamps(tag, 1, 0, 1), rest]) == ()
    model.load_progress("w", [LoadWrite(1, 0, 1, 10, 20)])
    assert model.compare_original("a", [zeros(0, 1), rest]) != ()


def test_a_load_that_writes_into_an_image_changes_the_image_alone() -> None:
    model = world()
    held(model, "a")
    tag = model.writers_started("w", "a", "s")
    done, flying, failed = LoadWrite(1, 0, 4, 300, 310), LoadWrite(2, 4, 4, 320, None), 3
    model.load_progress("w", [done, flying, LoadWrite(failed, 8, 4, 330, 340, errno.EIO)])
    rest = zeros(12, SIZE - 12)
    in_image = [stamps(tag, 1, 0, 4), zeros(4, 8), rest]
    assert model.compare_image("s", "a", in_image) == ()
    assert model.compare_image("s", "a", [stamps(tag, 1, 0, 4), stamps(tag, 2, 4, 4), zeros(8, 4),
                                          rest]) == ()  # fmt: skip
    assert model.compare_image("s", "a", [zeros(0, SIZE)]) != ()
    assert model.compare_original("a", [zeros(0, SIZE)]) == ()
    assert model.compare_map("a", [MapRun(0, 1, 0), MapRun(1, 7, 0)]) != ()
    assert model.compare_map("a", [MapRun(0, 1, 1), MapRun(1, 7, 0)]) == ()
    model.load_progress("w", [LoadWrite(2, 4, 4, 320, 350)])
    assert model.compare_image("s", "a", in_image) != ()


def test_takes_of_a_load_count_and_sort_the_writes_of_others() -> None:
    model = world()
    held(model, "a")
    model.destroyed("s")
    tag = model.writers_started("w", "a")
    assert tag
    model.cycle_started("c", ("a",))
    model.cycle_progress("c", [(1000, 1100), (2000, 2100)])
    writes = [LoadWrite(1, 0, 1, 900, 950), LoadWrite(2, 128, 1, 1200, 1300),
              LoadWrite(3, 256, 1, 2200, 2300)]  # fmt: skip
    model.load_progress("w", writes)
    seen = [MapRun(0, 1, 2), MapRun(1, 1, 3), MapRun(2, 6, 0)]
    assert model.compare_map("a", seen) == ()
    for block in range(3):
        wrong = [MapRun(n, 1, (2, 3, 0)[n] + (n == block)) for n in range(3)]
        assert model.compare_map("a", [*wrong, MapRun(3, 5, 0)]) != ()


def test_nobody_knows_what_fresh_encryption_and_unwritten_zones_read_as() -> None:
    model = world()
    model.add_stack("c", Device.model_validate({"crypt": {"on": "b"}}), SIZE)
    garbage = Seen(0, SIZE, SeenKind.GARBAGE)
    assert model.compare_original("c", [garbage]) == model.compare_original("b", [garbage]) == ()
    write(model, "c", 0, SIZE)
    assert model.compare_original("c", [garbage]) != ()
    for zoned in (True, False):
        disk = Device.model_validate({"null_blk": {"size": "1MiB", "zoned": zoned}})
        model.add_stack(f"n{zoned:d}", disk, SIZE)
        assert (model.compare_original(f"n{zoned:d}", [garbage]) == ()) is zoned


@pytest.mark.parametrize(
    ("counters", "right"),
    [
        ([7, 7, 7], True),
        ([8, 7, 7], True),
        ([8, 8, 7], True),
        ([7, 8, 7], False),
        ([7, 7, 8], False),
        ([9, 8, 7], False),
        ([4, 4, 4], False),
        ([11, 11, 11], False),
    ],
)
def test_counters_of_a_ring_are_in_order_or_told(counters: list[int], right: bool) -> None:
    assert (check_ring(["a", "b", "c"], counters, 5, 10) == ()) is right


@given(st.integers(0, 40), st.integers(1, 9), st.integers(0, 8), st.integers(-3, 3))
def test_an_image_has_every_round_before_the_newest_it_has(
    top: int, size: int, slot: int, change: int
) -> None:
    slots = [
        max((n for n in range(1, top + 1) if (n - 1) % size == k), default=0) for k in range(size)
    ]
    assert check_ring_slots("a", slots) == ()
    slot %= size
    if size > 1 and change < 0 and slots[slot] not in (0, top):
        slots[slot] += change
        assert [one.first for one in check_ring_slots("a", slots)] == [slot]


def test_a_ring_that_ended_left_none_of_the_rounds_after_its_end() -> None:
    model = world()
    tags = model.ring_started("r", ["a", "b"], (0, 8))
    rest = zeros(8, SIZE - 8)
    assert model.compare_original("a", [stamps(tags[0], 900, 0, 8), rest]) == ()
    model.ring_stopped("r", 50)
    assert model.compare_original("a", [stamps(tags[0], 900, 0, 8), rest]) != ()
    assert model.compare_original("b", [stamps(tags[1], 50, 0, 8), rest]) == ()


def test_of_a_failed_write_into_an_image_each_sector_is_old_or_new_and_no_other() -> None:
    model = world()
    old = write(model, "a", 0, 24)
    held(model, "a")
    write(model, "a", 0, 24)
    plan = model.plan_image_write("s", "a", [(8, 8)], "test")
    model.wrote_image("s", "a", plan, failed=True)
    tag, new = model.tag("a"), plan[0][2]
    rest = zeros(24, SIZE - 24)
    for left in (0, 3, 8):
        torn = [stamps(tag, new, 8, left), stamps(tag, old, 8 + left, 8 - left)]
        seen = [stamps(tag, old, 0, 8), *(one for one in torn if one.count)]
        assert model.compare_image("s", "a", [*seen, stamps(tag, old, 16, 8), rest]) == ()
        wrong = model.compare_image("s", "a", [*seen, stamps(tag, new, 16, 8), rest])
        assert [one.first for one in wrong] == [16]
    marked = model.compare_map("a", [MapRun(0, 1, 1), MapRun(1, 7, 0)])
    assert marked == model.compare_map("a", [MapRun(0, 8, 0)]) == ()


@pytest.mark.parametrize(("written", "right"), [(256, False), (512, False), (513, True)])
def test_an_overflow_is_justified_only_when_the_copies_did_not_fit(
    written: int, right: bool
) -> None:
    model = world(chunk_minimum_shift=15)
    held(model, "a")
    write(model, "a", 0, written)
    assert model.check_overflow("s", justified=False) == ()
    model.corrupted("s", "a", errno.ENOSPC, 900)
    assert (model.check_overflow("s", justified=True) == ()) is right
    assert model.check_overflow("s", justified=False) != ()


@pytest.mark.parametrize(("issued", "right"), [(899, True), (900, True), (901, False)])
@pytest.mark.parametrize("told_first", [True, False])
def test_what_was_issued_after_an_overflow_does_not_justify_it(
    issued: int, right: bool, told_first: bool
) -> None:
    model = world(chunk_minimum_shift=15)
    held(model, "a")
    model.writers_started("w", "a")
    write(model, "a", 0, 256)
    writes = [LoadWrite(1, 256, 320, issued, 950), LoadWrite(2, 256, 320, 940, None)]
    if told_first:
        model.load_progress("w", writes)
    model.corrupted("s", "a", errno.ENOSPC, 900)
    if not told_first:
        model.load_progress("w", writes)
    write(model, "a", 256, 320)
    found = model.check_overflow("s", justified=True)
    assert (found == ()) is right
    assert right or "although 256 of 512" in str(found[0])


def test_space_appended_after_an_overflow_does_not_speak_against_it() -> None:
    model = world(chunk_minimum_shift=15)
    held(model, "a")
    write(model, "a", 0, 576)
    model.appended("s", "b", [(0, 512)], at_ns=1000)
    model.corrupted("s", "a", errno.ENOSPC, 900)
    assert model.check_overflow("s", justified=True) == ()


def test_low_space_events_come_at_every_half_portion_of_what_was_asked_for() -> None:
    model = world(chunk_minimum_shift=12, diff_storage_minimum=64)
    held(model, "a")
    for filled, events in ((0, 1), (24, 1), (32, 2), (88, 2), (96, 3), (160, 4)):
        if filled:
            write(model, "a", 0, filled)
        assert model.low_space_events("s") == (events, events)


def test_of_what_was_in_flight_at_the_take_only_the_image_can_tell() -> None:
    model = world()
    model.writers_started("w", "a")
    held(model, "a")
    before, since = LoadWrite(1, 0, 8, 10, 20), LoadWrite(2, 64, 8, 210, 220)
    across, still, within = (
        LoadWrite(3, 16, 8, 90, 210),
        LoadWrite(4, 24, 8, 95, None),
        LoadWrite(5, 40, 8, 110, 120),
    )
    model.load_progress("w", [before, since])
    assert model.doubtful_ranges("a", "s") == ()
    model.load_progress("w", [across, still, within])
    assert model.doubtful_ranges("a", "s") == ((16, 16), (40, 8))
    assert model.doubtful_ranges("a") == ((24, 8),)


def test_a_backup_device_holds_what_was_copied_from_the_image() -> None:
    model = world()
    first = write(model, "a", 0, SIZE)
    held(model, "a")
    info = TrackerSeen(65536, SIZE * 512, 8, "one", 1)
    assert model.backup_since("b", "a", info, BackupMode.INCREMENT, None) is None
    write(model, "a", 0, 8)
    model.backup_done("s", "a", "b", info, [(0, SIZE)])
    copied = [stamps(model.tag("a"), first, 0, SIZE)]
    assert model.compare_original("b", copied) == ()
    assert model.compare_backup("s", "a", copied, 0, None) == ()
    later = TrackerSeen(65536, SIZE * 512, 8, "one", 2)
    assert model.backup_since("b", "a", later, BackupMode.INCREMENT, None) == 1
    assert model.backup_since("b", "a", later, BackupMode.DIFFERENTIAL, 0) == 0
    wrapped = TrackerSeen(65536, SIZE * 512, 8, "two", 1)
    assert model.backup_since("b", "a", wrapped, BackupMode.INCREMENT, None) is None


def test_a_copy_assembled_from_images_holds_what_the_device_held_at_the_take() -> None:
    model = world()
    spec = Device.model_validate({"raid": {"over": ["a", "b"], "level": "raid1"}})
    model.add_stack("r", spec, 900)
    first = write(model, "r", 0, 900)
    held(model, "a", "b")
    write(model, "r", 0, 100)
    model.assembled("s", "r", "copy")
    assert model.compare_original("copy", [stamps(model.tag("r"), first, 0, 900)]) == ()
    assert model.doubtful_ranges("a") == ((0, SIZE),)


def test_a_huge_device_is_scanned_where_it_was_written_and_at_its_ends() -> None:
    model = World()
    model.add_disk("t", 64 << 31)
    write(model, "t", 1 << 33, 5)
    plan = model.scan_plan("t", 1 << 20)
    covered = [(start, start + count) for start, count in plan]
    for wanted in (0, (1 << 33), (1 << 33) + 4, (64 << 31) - 1):
        assert any(start <= wanted < end for start, end in covered)
    assert sum(count for _, count in plan) < 1 << 16
    assert model.scan_plan("t", 64 << 31) == [(0, 64 << 31)]


def test_a_device_that_goes_takes_its_tracker_with_it() -> None:
    model = world()
    held(model, "a")
    model.destroyed("s")
    assert model.compare_tracker("a", TrackerSeen(65536, SIZE * 512, 8, "one", 1)) == ()
    model.remove_device("a")
    model.disk_back("a")
    assert model.compare_tracker("a", None) == ()
    model.created("s", ("a",))
    again = model.compare_tracker("a", TrackerSeen(65536, SIZE * 512, 8, "one", 0))
    assert "a new one" in str(again[0])


def test_the_image_of_a_device_that_is_gone_can_still_be_looked_at() -> None:
    model = world()
    held(model, "a")
    model.remove_device("a")
    assert model.scan_plan("a", SIZE) == [(0, SIZE)]
    assert model.compare_image("s", "a", [zeros(0, SIZE)]) == ()
    assert model.compare_image("s", "a", [stamps(1, 7, 0, 8), zeros(8, SIZE - 8)]) != ()


def test_a_module_that_is_loaded_anew_has_its_own_parameters_back() -> None:
    model = world(tracking_block_minimum_shift=12)
    model.set_parameters({"chunk_minimum_shift": 13})
    model.module_loaded({"chunk_maximum_shift": 20})
    fresh = world(chunk_maximum_shift=20)
    assert model.parameters == fresh.parameters

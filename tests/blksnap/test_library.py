"""The objects above the structures, against a node that plays the module."""

from __future__ import annotations

import ctypes
import errno
import os
import pickle
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab import blksnap
from lab.blksnap import (
    BlksnapError,
    CbtMapChangedError,
    Control,
    CorruptedEvent,
    Device,
    LowFreeSpaceEvent,
    SectorRange,
    UnfitFileError,
    UnknownEvent,
    abi,
    allocate,
)

from .fake import FakeNode, Handler, array_at

ID = uuid.UUID("12345678-1234-5678-1234-567812345678")
GENERATION = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
DEVICE = Device(254, 16)


def control_with(**handlers: Handler) -> tuple[Control, FakeNode]:
    control = Control.__new__(Control)
    node = FakeNode(**handlers)
    control.node = node
    return control, node


def refuse(number: int) -> Handler:
    def handler(argument: Any) -> int:
        raise OSError(number, os.strerror(number))

    return handler


def collector(numbers: list[int]) -> Handler:
    """TRACKER_COLLECT with one device; `numbers`: what it reports at each second call."""

    def handler(argument: Any) -> int:
        if argument.cbt_info_array:
            assert argument.count == 1
            record = array_at(argument.cbt_info_array, abi.blk_snap_cbt_info, 1)[0]
            record.dev_id = DEVICE.to_abi()
            record.blk_size, record.device_capacity, record.blk_count = 65536, 10 * 65536 - 512, 10
            record.generation_id[:] = GENERATION.bytes
            record.snap_number = numbers.pop(0) if len(numbers) > 1 else numbers[0]
        argument.count = 1
        return 0

    return handler


def map_reader(data: bytes) -> Handler:
    def handler(argument: Any) -> int:
        piece = data[argument.offset : argument.offset + argument.length]
        array_at(argument.buff, ctypes.c_uint8, len(piece))[:] = piece
        return len(piece)

    return handler


def test_version_is_four_numbers() -> None:
    def answer(argument: Any) -> int:
        argument.major, argument.revision = 1, 7
        return 0

    control, _ = control_with(version=answer)
    assert str(control.version()) == "1.0.7.0"


def test_trackers_are_asked_again_when_one_more_appears() -> None:
    seen: list[int] = []

    def answer(argument: Any) -> int:
        if not argument.cbt_info_array:
            argument.count = 1 + len(seen)
            return 0
        seen.append(argument.count)
        if argument.count < 2:
            raise OSError(errno.ENOBUFS, "")
        for place, record in enumerate(
            array_at(argument.cbt_info_array, abi.blk_snap_cbt_info, argument.count)
        ):
            record.dev_id.mj, record.dev_id.mn = 254, place
        return 0

    control, node = control_with(tracker_collect=answer)
    assert [str(info.device) for info in control.trackers()] == ["254:0", "254:1"]
    assert seen == [1, 2]
    assert all(info.is_gone for info in control.trackers())
    assert set(node.calls) == {"tracker_collect"}


def test_snapshots_are_asked_again_when_one_more_appears() -> None:
    calls: list[int] = []

    def answer(argument: Any) -> int:
        if not argument.ids:
            argument.count = 1 + len(calls)
            return 0
        calls.append(argument.count)
        if argument.count < 2:
            raise OSError(errno.ENODATA, "")
        ids = array_at(argument.ids, ctypes.c_uint8 * 16, 2)
        ids[0][:], ids[1][:] = ID.bytes, GENERATION.bytes
        return 0

    control, _ = control_with(snapshot_collect=answer)
    assert control.snapshots() == [ID, GENERATION]


def test_a_created_snapshot_is_destroyed_at_the_end_of_its_block() -> None:
    devices: list[tuple[int, int]] = []

    def create(argument: Any) -> int:
        array = array_at(argument.dev_id_array, abi.blk_snap_dev_t, argument.count)
        devices.extend((one.mj, one.mn) for one in array)
        argument.id[:] = ID.bytes
        return 0

    control, node = control_with(snapshot_create=create, snapshot_destroy=lambda argument: 0)
    with control.create_snapshot(["254:16", Device(254, 32)]) as snapshot:
        assert snapshot.id == ID
    assert devices == [(254, 16), (254, 32)]
    assert node.calls == ["snapshot_create", "snapshot_destroy"]


@pytest.mark.parametrize("one", ["/dev/vdb", b"/dev/vdb", "254:16", Path("/dev/vdb"), DEVICE])
def test_one_device_is_no_list_of_devices(one: Any) -> None:
    control, node = control_with()
    with pytest.raises(TypeError, match="takes a list of devices"):
        control.create_snapshot(one)
    assert node.calls == []


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda control: control.snapshot(5), "snapshot_id is a UUID or its text, not 5"),
        (
            lambda control: control.snapshot(ID).append_storage(DEVICE, [(0, 8)]),
            "each of ranges is a SectorRange, not (0, 8)",
        ),
        (
            lambda control: control.tracker(DEVICE).mark_dirty([SectorRange(0, 8), 8]),
            "each of ranges is a SectorRange, not 8",
        ),
        (
            lambda control: control.tracker(5),
            'a device is a path, "MAJOR:MINOR" or a Device, not 5',
        ),
        (
            lambda control: control.snapshot(ID).append_file("/nonexistent/f", "1GiB"),
            "size is a number of bytes or None, not '1GiB'",
        ),
    ],
)
def test_an_argument_of_a_wrong_type_is_named(call: Callable[[Control], object], told: str) -> None:
    control, node = control_with()
    with pytest.raises(TypeError, match=re.escape(told)):
        call(control)
    assert node.calls == []


def test_a_path_may_be_bytes(tmp_path: Path) -> None:
    assert Device.of(b"254:16") == DEVICE
    with pytest.raises(ValueError, match=r"^/dev/null is not"):
        Device.of(b"/dev/null")
    with pytest.raises(ValueError, match=f"^{tmp_path}/f: size 1 "):
        allocate(os.fsencode(tmp_path / "f"), 1)


def test_an_id_that_is_none_is_named() -> None:
    control, node = control_with()
    assert control.snapshot(str(ID)).id == ID
    with pytest.raises(ValueError, match="'nonsense' is no snapshot id"):
        control.snapshot("nonsense")
    assert node.calls == []


@pytest.mark.parametrize("how", ["keep", "destroy"])
def test_a_kept_or_destroyed_snapshot_is_not_destroyed_again(how: str) -> None:
    control, node = control_with(snapshot_destroy=lambda argument: 0)
    with control.snapshot(ID) as snapshot:
        getattr(snapshot, how)()
    assert node.calls.count("snapshot_destroy") == (how == "destroy")


def test_a_snapshot_that_somebody_else_destroyed_ends_its_block_in_peace() -> None:
    control, _ = control_with(snapshot_destroy=refuse(errno.ENODEV))
    with pytest.raises(ZeroDivisionError), control.snapshot(ID):
        raise ZeroDivisionError
    control, _ = control_with(snapshot_destroy=refuse(errno.EPERM))
    with pytest.raises(BlksnapError), control.snapshot(ID):
        pass


@pytest.mark.parametrize(
    "wrong", [SectorRange(1 << 64, 8), SectorRange(0, 1 << 64), SectorRange(-8, 8)]
)
def test_a_number_that_does_not_fit_is_refused_and_not_cut(wrong: SectorRange) -> None:
    control, node = control_with()
    with pytest.raises(ValueError, match="more than 64 bits"):
        control.snapshot(ID).append_storage(DEVICE, [wrong])
    with pytest.raises(ValueError, match="more than 32 bits"):
        control.tracker("4294967304:0").remove()
    with pytest.raises(ValueError, match="outside"):
        control.tracker(DEVICE).cbt_map().read(1 << 32, 4)
    assert node.calls == []


@pytest.mark.parametrize(
    "error",
    [
        BlksnapError("snapshot_take", errno.ESRCH, "x"),
        CbtMapChangedError("254:16"),
        UnfitFileError("/mnt/diff", "it is compressed"),
    ],
)
def test_errors_go_from_one_process_to_another(error: BlksnapError) -> None:
    arrived = pickle.loads(pickle.dumps(error))
    assert type(arrived) is type(error)
    assert (str(arrived), arrived.errno, arrived.meaning) == (
        str(error),
        error.errno,
        error.meaning,
    )


def test_storage_ranges_arrive_as_given() -> None:
    given: list[tuple[int, int]] = []

    def append(argument: Any) -> int:
        assert bytes(argument.id) == ID.bytes
        assert (argument.dev_id.mj, argument.dev_id.mn) == (254, 16)
        array = array_at(argument.ranges, abi.blk_snap_block_range, argument.count)
        given.extend((one.sector_offset, one.sector_count) for one in array)
        return 0

    control, _ = control_with(snapshot_append_storage=append)
    control.snapshot(ID).append_storage(DEVICE, [SectorRange(8, 16), SectorRange(1 << 40, 8)])
    assert given == [(8, 16), (1 << 40, 8)]


def test_images_are_asked_again_when_the_array_was_too_small() -> None:
    calls: list[int] = []

    def answer(argument: Any) -> int:
        calls.append(argument.count)
        if not argument.image_info_array:
            argument.count = len(calls)
            return 0
        if argument.count < 3:
            raise OSError(errno.ENODATA, "")
        array = array_at(argument.image_info_array, abi.blk_snap_image_info, argument.count)
        for place, record in enumerate(array):
            record.orig_dev_id = Device(8, place).to_abi()
            record.image_dev_id = Device(252, place).to_abi()
        return 0

    control, _ = control_with(snapshot_collect_images=answer)
    images = control.snapshot(ID).images()
    assert [(str(one.original), one.path) for one in images] == [
        ("8:0", "/dev/blksnap-image0"),
        ("8:1", "/dev/blksnap-image1"),
        ("8:2", "/dev/blksnap-image2"),
    ]


def event(code: int, payload: bytes) -> Handler:
    def handler(argument: Any) -> int:
        argument.code, argument.time_label = code, 42
        argument.data[: len(payload)] = payload
        return 0

    return handler


def test_events_are_decoded() -> None:
    low = bytes(abi.blk_snap_event_low_free_space(2048))
    control, _ = control_with(snapshot_wait_event=event(0, low))
    assert control.snapshot(ID).wait_event(0) == LowFreeSpaceEvent(42, 2048)
    bad = bytes(abi.blk_snap_event_corrupted(DEVICE.to_abi(), 28))
    control, _ = control_with(snapshot_wait_event=event(1, bad))
    assert control.snapshot(ID).wait_event(0) == CorruptedEvent(42, DEVICE, 28)
    control, _ = control_with(snapshot_wait_event=event(9, b"?"))
    assert control.snapshot(ID).wait_event(0) == UnknownEvent(42, 9, b"?".ljust(4064, b"\0"))


def test_no_event_in_time_is_none_and_a_signal_does_not_end_the_wait() -> None:
    script = [errno.EINTR, errno.EINTR, errno.ENOENT]

    def interrupted(argument: Any) -> int:
        raise OSError(script.pop(0), "")

    control, node = control_with(snapshot_wait_event=interrupted)
    assert control.snapshot(ID).wait_event(1000) is None
    assert len(node.calls) == 3


def test_waiting_on_a_destroyed_snapshot_says_so() -> None:
    control, _ = control_with(snapshot_wait_event=refuse(errno.ESRCH))
    with pytest.raises(BlksnapError, match="snapshot is gone") as caught:
        control.snapshot(ID).wait_event(5)
    assert caught.value.errno == errno.ESRCH
    assert caught.value.operation == "snapshot_wait_event"


def test_an_error_is_an_os_error_that_names_operation_subject_and_meaning() -> None:
    control, _ = control_with(tracker_remove=refuse(errno.EBUSY))
    with pytest.raises(OSError, match=r"tracker_remove 254:16: EBUSY: .*still holds") as caught:
        control.tracker(DEVICE).remove()
    assert isinstance(caught.value, BlksnapError)
    assert caught.value.errno == errno.EBUSY


@pytest.mark.parametrize(
    ("operation", "number", "told"),
    [
        ("snapshot_take", errno.ENXIO, "a device of the snapshot has gone"),
        ("snapshot_take", errno.EBUSY, "somebody else holds a file system frozen"),
        ("snapshot_append_storage", errno.EROFS, "the device can only be read"),
        ("snapshot_wait_event", errno.EBADF, "the Control is closed"),
        ("version", errno.EBADF, "the Control is closed"),
    ],
)
def test_an_errno_that_says_little_is_explained(operation: str, number: int, told: str) -> None:
    assert told in str(BlksnapError(operation, number))


def test_what_is_used_after_its_control_says_so() -> None:
    with Control("/dev/null") as control:
        snapshot = control.snapshot(ID)
    with pytest.raises(BlksnapError, match=r"snapshot_take .*: EBADF: the Control is closed"):
        snapshot.take()


def test_a_missing_node_says_that_the_module_is_not_loaded() -> None:
    with pytest.raises(BlksnapError, match="not loaded"):
        Control("/nonexistent/blksnap")


def test_the_map_is_read_in_runs_and_ranges() -> None:
    data = bytes([0, 0, 1, 1, 2, 0, 0, 0, 3, 3])
    control, _ = control_with(tracker_collect=collector([3]), tracker_read_cbt_map=map_reader(data))
    with control.tracker(DEVICE).cbt_map() as cbt:
        assert cbt.read() == data
        assert cbt.read(4, 2) == data[4:6]
        assert [(run.block, run.count, run.number) for run in cbt.runs(2)] == [
            (2, 2, 1),
            (4, 1, 2),
            (5, 3, 0),
            (8, 2, 3),
        ]
        # The device ends a sector before its last block does.
        assert cbt.changed_since(0) == [SectorRange(256, 384), SectorRange(1024, 255)]
        assert cbt.changed_since(3) == []


@pytest.mark.parametrize(("last", "number"), [(7, 8), (7, 300), (7, -1), (0, 1), (255, 256)])
def test_nothing_has_changed_since_a_take_that_never_was_is_no_answer(
    last: int, number: int
) -> None:
    reader = map_reader(bytes(10))
    control, _ = control_with(tracker_collect=collector([last]), tracker_read_cbt_map=reader)
    with control.tracker(DEVICE).cbt_map() as cbt:
        assert cbt.changed_since(last) == []
        with pytest.raises(ValueError, match=f"take {number} is outside 0..{last}"):
            cbt.changed_since(number)


@pytest.mark.parametrize("size", [1 << 14, (1 << 14) + 1, (1 << 20) + 1, (3 << 20) + 5])
def test_a_map_of_several_calls_is_read_whole(size: int) -> None:
    data = bytes(n * 7 % 251 for n in range(size))
    control, _ = control_with(tracker_collect=collector([3]), tracker_read_cbt_map=map_reader(data))
    cbt = control.tracker(DEVICE).cbt_map()
    assert cbt.read() == data
    assert cbt.read(5) == data[5:]
    assert cbt.read(3, size - 4) == data[3 : size - 1]
    assert cbt.read(size) == b""


def test_a_map_replaced_while_it_was_read_is_an_error() -> None:
    control, _ = control_with(
        tracker_collect=collector([3, 4]), tracker_read_cbt_map=map_reader(bytes(10))
    )
    with pytest.raises(CbtMapChangedError), control.tracker(DEVICE).cbt_map() as cbt:
        cbt.read()


@pytest.mark.parametrize(
    ("records", "seen"), [([3, 4], CbtMapChangedError), ([3, 3], BlksnapError)]
)
def test_beyond_the_end_of_a_shorter_map_it_is_another_map(
    records: list[int], seen: type[BlksnapError]
) -> None:
    def beyond(_argument: Any) -> int:
        raise OSError(errno.EINVAL, "beyond the end")

    control, _ = control_with(tracker_collect=collector(records), tracker_read_cbt_map=beyond)
    with pytest.raises(BlksnapError) as caught, control.tracker(DEVICE).cbt_map() as cbt:
        cbt.read(offset=11)
    assert type(caught.value) is seen


def test_an_untracked_device_has_no_info() -> None:
    control, _ = control_with(tracker_collect=collector([1]))
    assert control.tracker(DEVICE).info().number == 1
    with pytest.raises(BlksnapError, match="not tracked") as caught:
        control.tracker("254:99").info()
    assert "not tracked" in str(pickle.loads(pickle.dumps(caught.value)))


def test_a_device_that_came_back_is_not_the_one_that_went() -> None:
    def both(argument: Any) -> int:
        if argument.cbt_info_array:
            gone, there = array_at(argument.cbt_info_array, abi.blk_snap_cbt_info, 2)
            gone.dev_id = there.dev_id = Device.of(DEVICE).to_abi()
            there.blk_size, there.blk_count, there.device_capacity = 65536, 1, 65536
            there.snap_number = 7
        argument.count = 2
        return 0

    control, _ = control_with(tracker_collect=both)
    assert control.tracker(DEVICE).info().number == 7


def test_a_tracker_block_ends_with_no_tracking_whoever_removed_it() -> None:
    control, node = control_with(tracker_remove=refuse(errno.ENODATA))
    with control.tracker(DEVICE):
        pass
    assert node.calls == ["tracker_remove"]
    control, _ = control_with(tracker_remove=refuse(errno.EBUSY))
    with pytest.raises(BlksnapError), control.tracker(DEVICE):
        pass


def test_what_is_no_block_device_is_refused() -> None:
    with pytest.raises(ValueError, match="not a block device"):
        Device.of("/dev/null")
    with pytest.raises(FileNotFoundError):
        Device.of("/dev/nonexistent")


def test_every_file_says_its_licence_as_it_is_copied_into_other_programs() -> None:
    files = sorted(Path(blksnap.__file__).parent.glob("*.py"))
    assert len(files) > 10
    for file in files:
        tag, licence = file.read_text().splitlines()[0].split(": ")
        assert (tag, licence) == ("# SPDX-License-Identifier", "MIT"), file.name

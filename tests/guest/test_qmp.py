"""The queue of QEMU's events."""

import threading

from lab.guest.qmp import EventQueue, QmpEvent


def test_an_event_that_nobody_waits_for_is_kept() -> None:
    queue = EventQueue()
    queue.put(QmpEvent("RESUME", {}))
    queue.put(QmpEvent("DEVICE_DELETED", {"device": "slot1"}))
    found = queue.take("DEVICE_DELETED")
    assert found is not None
    assert [event.name for event in queue.pending()] == ["RESUME"]


def test_the_oldest_that_fits_is_taken() -> None:
    queue = EventQueue()
    for device in ("a", "b", "b"):
        queue.put(QmpEvent("DEVICE_DELETED", {"device": device}))
    queue.take("DEVICE_DELETED", lambda data: data["device"] == "b")
    assert [event.data["device"] for event in queue.pending()] == ["a", "b"]


def test_nothing_in_time_is_none() -> None:
    assert EventQueue().take("X", timeout=0.01) is None


def test_waiting_ends_when_the_event_comes() -> None:
    queue = EventQueue()
    threading.Timer(0.05, queue.put, [QmpEvent("X", {"n": 1})]).start()
    assert queue.take("X", timeout=10) == QmpEvent("X", {"n": 1})


def test_waiting_ends_when_no_more_can_come() -> None:
    queue = EventQueue()
    threading.Timer(0.05, queue.close).start()
    assert queue.take("X", timeout=10) is None

"""The end of a run by its user."""

from __future__ import annotations

import threading

import pytest

from lab.guest.machine import MachineStateError
from lab.runner.stop import Interrupted, Stop


def test_a_guest_that_cannot_be_cut_is_no_reason_to_leave_the_others() -> None:
    stop, cut = Stop(), []

    def booting() -> None:
        raise MachineStateError("it was not started")

    with stop.cuts(booting), stop.cuts(lambda: cut.append("other")):
        stop.request()
        assert cut == ["other"]
    with pytest.raises(Interrupted), stop.cuts(booting):
        pytest.fail("nothing new begins")


def test_a_guest_that_was_about_to_boot_is_cut_when_it_has_power() -> None:
    stop, tries = Stop(), []

    def booting() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise MachineStateError("it was not started")
        cut.set()

    cut = threading.Event()
    with stop.cuts(booting):
        stop.request()
        ender = threading.Thread(target=stop.insist)
        ender.start()
        assert cut.wait(30)
    ender.join(30)
    assert not ender.is_alive()

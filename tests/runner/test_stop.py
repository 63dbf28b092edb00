"""The end of a run by its user."""

from __future__ import annotations

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

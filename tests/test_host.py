"""How many guests fit a machine."""

import pytest

from lab import host
from lab.units import GIB, MIB


@pytest.mark.parametrize(
    ("processors", "available", "memory", "jobs"),
    [
        (2, 24 * GIB, GIB, 3),
        (1, 24 * GIB, GIB, 2),
        (2, 3 * GIB, GIB, 2),
        (64, 24 * GIB, GIB, 19),
        (8, 4 * GIB, 512 * MIB, 5),
        (4, 200 * MIB, GIB, 1),
    ],
)
def test_one_guest_more_than_processors_if_memory_lasts(
    monkeypatch: pytest.MonkeyPatch, processors: int, available: int, memory: int, jobs: int
) -> None:
    monkeypatch.setattr(host.os, "sched_getaffinity", lambda _process: set(range(processors)))
    monkeypatch.setattr(host, "available_memory", lambda: available)
    assert host.fitting_jobs(memory) == jobs


def test_the_memory_of_this_machine_is_known() -> None:
    assert MIB < host.available_memory() < 1 << 50

"""The guest with the module of this checkout, made once per session."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab.guest.prepare import prepare
from lab.guest.settings import GuestSettings
from lab.guest.template import Template
from lab.image import DEFAULT_KERNEL, Recipe, kernel_named
from lab.progress import Progress, ProgressSink

CHECKOUT = Path(__file__).resolve().parents[2]
MODULE = CHECKOUT / "guest_module"
GUESTS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
"""Guests at a time: one for each process that runs tests. Limits are longer accordingly."""
Make = Callable[[ProgressSink, str, int | None], Template]


def tell(progress: Progress) -> None:
    """What takes so long, for who looks at the captured output."""
    print(f"{progress.stage}: {progress.detail}")


@pytest.fixture(scope="session")
def make_template() -> Iterator[Make]:
    """Makes the template of a kernel and an amount of memory once; held until the session ends."""
    made: dict[tuple[str, int | None], Template] = {}

    def make(progress: ProgressSink, kernel: str, memory: int | None) -> Template:
        if (kernel, memory) not in made:
            settings = GuestSettings(module=MODULE, recipe=Recipe(kernel_named(kernel)))
            wanted = replace(settings, memory=memory) if memory else settings
            made[kernel, memory] = prepare(wanted, progress)
        return made[kernel, memory]

    yield make
    for template in made.values():
        if template.hold is not None:
            template.hold.close()


@pytest.fixture(scope="session")
def module_template(make_template: Make) -> Template:
    """The template with the module; the first one builds image and module, minutes."""
    return make_template(tell, DEFAULT_KERNEL, None)

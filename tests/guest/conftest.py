"""The guest with the module of this checkout, made once per session."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.guest.prepare import prepare
from lab.guest.settings import GuestSettings
from lab.guest.template import Template
from lab.progress import Progress

CHECKOUT = Path(__file__).resolve().parents[2]
MODULE = CHECKOUT / "guest_module"


def tell(progress: Progress) -> None:
    """What takes so long, for who looks at the captured output."""
    print(f"{progress.stage}: {progress.detail}")


@pytest.fixture(scope="session")
def module_template() -> Template:
    """The template with the module; the first one builds image and module, minutes."""
    return prepare(GuestSettings(module=MODULE), tell)

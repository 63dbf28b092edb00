"""Unit tests do not time things: a loaded machine makes any example slow."""

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """First what takes longest, or the other processors have nothing left to do meanwhile: image
    and module of another kernel."""
    items.sort(key=lambda item: "test_matrix" not in item.nodeid)

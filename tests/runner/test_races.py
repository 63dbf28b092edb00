"""How closely KCSAN looks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest

from lab.image import BUILT_KERNELS, Kernel, kernel_named
from lab.runner.context import Context
from lab.runner.races import EVERY, SKIPPED, look_closely


class Asked:
    """A guest that notes what is written."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.written: list[tuple[Any, Any]] = []

    def request(self, op: str, args: Mapping[str, Any]) -> None:
        assert op == "write_file"
        self.written.append((args["path"], args["text"]))


@pytest.mark.parametrize(("name", "told"), [("6.1-debug", 0), ("6.1-kcsan", 1)])
def test_only_a_kernel_with_kcsan_is_told_to_look_at_more_accesses(name: str, told: int) -> None:
    asked = Asked(kernel_named(name))
    look_closely(cast(Context, asked))
    assert asked.written == [(SKIPPED, str(EVERY))] * told


def test_such_kernels_are_known_by_their_configuration() -> None:
    found = [kernel.name for kernel in BUILT_KERNELS if kernel.finds_races]
    assert found == ["6.1-kcsan", "6.12-kcsan"]

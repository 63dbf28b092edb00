"""How closely KCSAN looks."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any, cast

import pytest

from lab.guest.channel import AgentFailure
from lab.runner.context import Context
from lab.runner.races import EVERY, SKIPPED, look_closely


class Asked:
    """A guest that notes what is written, or fails."""

    def __init__(self, number: int | None = None) -> None:
        self.number = number
        self.written: list[tuple[Any, Any]] = []

    def request(self, op: str, args: Mapping[str, Any]) -> None:
        if self.number is not None:
            assert op == "read_file", "the agent makes folders, where it may not in sysfs"
            raise AgentFailure({"kind": "os", "errno": self.number, "operation": op})
        if op == "write_file":
            self.written.append((args["path"], args["text"]))


def test_a_kernel_with_kcsan_looks_at_more_accesses() -> None:
    asked = Asked()
    look_closely(cast(Context, asked))
    assert asked.written == [(SKIPPED, str(EVERY))]


def test_one_without_has_nothing_to_set_and_other_errors_are_told() -> None:
    look_closely(cast(Context, Asked(errno.ENOENT)))
    with pytest.raises(AgentFailure):
        look_closely(cast(Context, Asked(errno.EPERM)))

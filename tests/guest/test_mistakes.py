"""The mistakes that debug kernels are tested with, held against the reports and the module."""

from __future__ import annotations

import re

from lab.runner.klog import SplatKind

from .mistakes import ELSEWHERE, MISTAKES, SOURCE


def test_there_is_a_mistake_of_each_kind() -> None:
    assert {kind for _, kind, _ in MISTAKES} | set(ELSEWHERE.values()) == set(SplatKind)


def test_each_mistake_of_the_module_is_looked_at() -> None:
    made = re.findall(r'^\t\{ "([\w-]+)", splat_', (SOURCE / "splat.c").read_text(), re.MULTILINE)
    assert sorted(made) == sorted([*(what for what, _, _ in MISTAKES), *ELSEWHERE])

"""The timeline shows a step's arguments as the scenario's file has them."""

from __future__ import annotations

import pytest

from lab.report.timeline import details, rows_of
from lab.report.written import LONGEST, arguments, parsed

SOURCE = """
steps:
  - write: {device: a, at: 1MiB, random: {count: 0x10, sizes: [4KiB, 8s]}}
  - take:
  - repeat:
      times: {usual: 2, long: 9}
      steps:
        - name: with a word that YAML takes for a truth
          read: {on: yes}
  - expect_error: {errno: EINVAL, step: {create: {devices: [a, a]}}}
  - exec:
      argv:
        - sh
        - |
          one
            two
"""
TREE = parsed(SOURCE)


@pytest.mark.parametrize(
    ("path", "verb", "said"),
    [
        (
            "steps[0]",
            "write",
            "device: a, at: 1MiB, random: {count: 0x10, sizes: [4KiB, 8s]}",
        ),
        ("steps[1]", "take", ""),
        ("steps[2]", "repeat", "times: {usual: 2, long: 9}"),
        ("steps[2].repeat[7].steps[0]", "read", "on: yes"),
        ("steps[3]", "expect_error", "errno: EINVAL"),
        ("steps[3].expect_error.step", "create", "devices: [a, a]"),
        ("steps[4]", "exec", "argv: [sh, one two]"),
        ("steps[9]", "write", ""),
        ("steps[0]", "take", ""),
        ("nonsense", "write", ""),
    ],
)
def test_a_step_is_found_by_its_path(path: str, verb: str, said: str) -> None:
    assert arguments(TREE, path, verb) == said


def test_what_is_long_is_cut() -> None:
    tree = parsed(f"steps: [{{exec: {{argv: [{'x' * 1000}]}}}}]")
    assert len(arguments(tree, "steps[0]", "exec")) == LONGEST


def test_a_file_that_cannot_be_read_says_nothing() -> None:
    for source in ("", "steps: [", "- a"):
        assert arguments(parsed(source), "steps[0]", "write") == ""


def test_a_row_has_its_step_as_it_is_written_and_what_came_of_it() -> None:
    event = {
        "event": "StepFinished",
        "index": 0,
        "path": "steps[0]",
        "verb": "write",
        "summary": "write",
        "outcome": "done",
        "time": 12.0,
        "duration": 1.0,
        "detail": {"writes": 16},
    }
    (row,), left_out = rows_of([event], SOURCE, 10.0)
    assert (row.start, row.detail, left_out) == (1.0, "writes 16", 0)
    assert row.given.startswith("device: a, at: 1MiB")


def test_what_was_not_so_is_told_so() -> None:
    assert details({"checked": False, "gone": True, "left": 0}) == "not checked, gone, left 0"

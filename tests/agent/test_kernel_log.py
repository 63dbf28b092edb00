"""What the agent makes of the records of the kernel log."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lab.agent.kernel_log import KernelLog, Record

Ring = Callable[[list[tuple[int, str]]], KernelLog]


@pytest.fixture
def ring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ring:
    """A log whose ring has these records: number and text, "+" before it if it continues."""
    node = tmp_path / "kmsg"
    node.touch()

    def made(records: list[tuple[int, str]]) -> KernelLog:
        log = KernelLog(str(node))

        def read() -> tuple[Record, bool] | None:
            if not records:
                return None
            seq, text = records.pop(0)
            return Record(seq, 6, seq, text.lstrip("+")), text.startswith("+")

        monkeypatch.setattr(log, "_read", read)
        return log

    return made


def test_records_from_a_number_on_without_those_before(ring: Ring) -> None:
    read = ring([(4, "before"), (5, "one"), (6, "+more"), (7, "two")]).since(5)
    assert [record.text for record in read.records] == ["onemore", "two"]
    assert (read.next_seq, read.more, read.lost) == (8, False, 0)


def test_what_was_overwritten_is_counted(ring: Ring) -> None:
    records = [(9, "nine"), (12, "twelve")]
    log = ring(records)
    read = log.since(5)
    assert (read.next_seq, read.lost) == (13, 4 + 2)
    records.append((13, "thirteen"))
    assert log.since(13).lost == 0
    records.append((15, "fifteen"))
    assert log.since(14).lost == 1


def test_nobody_waited_for_what_was_before_the_oldest(ring: Ring) -> None:
    assert ring([(300, "oldest"), (301, "next")]).since(0).lost == 0
    assert ring([(300, "oldest"), (303, "next")]).since(0).lost == 2


def test_nothing_new_is_nothing(ring: Ring) -> None:
    read = ring([]).since(7)
    assert (read.records, read.next_seq, read.more, read.lost) == ([], 7, False, 0)

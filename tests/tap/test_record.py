"""I/Os are known again in another clone, in another order and joined otherwise."""

from __future__ import annotations

from lab.tap.record import Io, Op, Tap


def hits(fault: Io, ios: list[tuple[str, Op, int, int]]) -> list[int]:
    """Which of the I/Os fail, by place."""
    tap = Tap(fault)
    tap.open()
    return [place for place, io in enumerate(ios) if tap.fails(*io)]


A = [("a", Op.READ, 0, 8), ("a", Op.READ, 8, 8), ("a", Op.READ, 0, 8), ("b", Op.READ, 8, 8)]


def test_those_of_one_place_are_counted() -> None:
    tap = Tap()
    tap.open()
    assert not any(tap.fails(*io) for io in A)
    assert [io.nth for io in tap.ios] == [1, 1, 2, 1]
    assert not tap.hit


def test_each_fails_once_and_no_other() -> None:
    tap = Tap()
    tap.open()
    for io in A:
        tap.fails(*io)
    assert [hits(io, A) for io in tap.ios] == [[0], [1], [2], [3]]


def test_one_that_was_joined_with_its_neighbour_fails_with_it() -> None:
    assert hits(Io("a", Op.READ, 8, 8, 1), [("a", Op.READ, 0, 16), ("a", Op.READ, 8, 8)]) == [0]


def test_one_that_comes_in_another_order_is_known() -> None:
    assert hits(Io("a", Op.READ, 8, 8, 1), [A[1], A[0], A[2]]) == [0]
    assert hits(Io("a", Op.READ, 0, 8, 2), [A[1], A[0], A[2]]) == [2]


def test_flushes_are_counted_too() -> None:
    flush = ("a", Op.FLUSH, 0, 0)
    assert hits(Io("a", Op.FLUSH, 0, 0, 2), [flush, ("a", Op.WRITE, 0, 8), flush, flush]) == [2]

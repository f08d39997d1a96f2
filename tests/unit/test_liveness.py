"""Partitions that stand still are noticed once, and only when something is left to do."""

from faust.types import TP

from streams.liveness import Stalls

HERE, THERE = TP("transactions", 0), TP("transactions", 1)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_does_not_move_for_too_long_is_told_once_and_then_watched_anew() -> None:
    clock = Clock()
    stalls = Stalls(10, clock)
    told = []
    for second in range(25):
        clock.now = float(second)
        told.append(stalls.look({HERE: (5, None), THERE: (second, None)}))
    assert [second for second, found in enumerate(told) if found] == [10, 20]
    assert told[10] == {HERE}


def test_nothing_is_wrong_while_nothing_is_left_or_something_is_at_work() -> None:
    clock = Clock()
    stalls = Stalls(10, clock)
    for second, mark in enumerate([(5,)] * 9 + [None] + [(5,)] * 9):
        clock.now = float(second)
        assert stalls.look({HERE: mark}) == set()


def test_a_partition_that_moved_away_is_forgotten() -> None:
    clock = Clock()
    stalls = Stalls(10, clock)
    stalls.look({HERE: 1})
    clock.now = 9
    stalls.look({})
    clock.now = 11
    assert stalls.look({HERE: 1}) == set()

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.core.health.schedule import FIRSTS_PER_SECOND, LEAST_INTERVAL, Schedule

chances = st.floats(0, 1, exclude_max=True)


def run(count: int, interval: float, *, seconds: float, tick: float, seed: int) -> list[list[str]]:
    """What each tick hands out, with all instances appearing at second 0."""
    chance = random.Random(seed)
    schedule = Schedule()
    for number in range(count):
        schedule.plan(f"i{number}", 0.0, interval, chance.random())
    ticks = []
    for number in range(int(seconds / tick)):
        now = number * tick
        ticks.append(schedule.due(now))
        for key in ticks[-1]:
            schedule.plan(key, now, interval, chance.random())
    return ticks


@pytest.mark.parametrize(("interval", "fair"), [(30.0, 200.0), (10.0, 500.0), (60.0, 200.0)])
@given(seed=st.integers(0, 3))
def test_of_five_thousand_no_second_holds_more_than_its_share(
    interval: float, fair: float, seed: int
) -> None:
    ticks = run(5000, interval, seconds=3 * interval, tick=1.0, seed=seed)
    # The first are handed out 200 a second. Each round is a tenth shorter than the pace, and the
    # second one begins before the last of the first had their turn.
    assert max(len(each) for each in ticks) <= fair * 1.6
    assert max(len(each) for each in ticks[-int(interval) :]) <= fair * 1.4


def test_each_is_asked_once_an_interval_and_never_much_later() -> None:
    ticks = run(1000, 10.0, seconds=100.0, tick=0.5, seed=1)
    asked: dict[str, list[float]] = {}
    for number, keys in enumerate(ticks):
        for key in keys:
            asked.setdefault(key, []).append(number * 0.5)
    assert len(asked) == 1000
    gaps = [b - a for times in asked.values() for a, b in itertools.pairwise(times)]
    assert min(gaps) >= 8.0
    assert max(gaps) <= 10.0, "chance only ever brings forward"
    assert max(times[0] for times in asked.values()) <= 1000 / FIRSTS_PER_SECOND + 0.5


def test_a_new_one_is_asked_at_once() -> None:
    schedule = Schedule()
    schedule.plan("a", 100.0, 30.0, 0.99)
    assert schedule.due(100.0) == ["a"]
    assert schedule.due(1000.0) == []


def test_first_ones_lie_within_their_interval_however_many_there_are() -> None:
    schedule = Schedule()
    for number in range(3000):
        schedule.plan(str(number), 0.0, 2.0, (number % 97) / 97)
    counts = Counter(int(at / 0.25) for at, _ in schedule._heap)
    assert set(counts) <= set(range(8))
    assert max(counts.values()) <= 3000 / 8 * 1.2


@given(chances, st.floats(0.05, 1000))
def test_a_later_one_is_due_after_its_pace_or_a_little_sooner(
    chance: float, interval: float
) -> None:
    schedule = Schedule()
    schedule.plan("a", 5.0, interval, chance)
    schedule.due(5.0)
    assert schedule.next_due() is None
    schedule.plan("a", 5.0, interval, chance)
    due = schedule.next_due()
    assert due is not None
    assert due - 5.0 == pytest.approx(interval * (1 - chance / 5), rel=1e-6)


def test_an_interval_of_nothing_is_no_busy_loop() -> None:
    schedule = Schedule()
    schedule.soon("a", 0.0)
    assert schedule.due(0.0) == ["a"]
    schedule.plan("a", 0.0, 0.0, 0.0)
    assert schedule.due(0.0) == []
    assert schedule.due(LEAST_INTERVAL) == ["a"]


def test_planning_again_postpones_nothing_and_may_bring_it_forward() -> None:
    schedule = Schedule()
    schedule.soon("a", 0.0)
    schedule.due(0.0)
    schedule.plan("a", 0.0, 100.0, 0.0)
    schedule.plan("a", 50.0, 100.0, 0.0)
    assert schedule.next_due() == 100.0
    schedule.plan("a", 50.0, 10.0, 0.0)
    assert schedule.next_due() == 60.0
    assert schedule.due(60.0) == ["a"]
    assert schedule.due(500.0) == []


def test_soon_is_now_and_stays_so_while_it_is_being_asked() -> None:
    schedule = Schedule()
    schedule.soon("a", 0.0)
    schedule.soon("a", 1.0)
    assert schedule.due(0.0) == ["a"]
    schedule.soon("a", 2.0)
    schedule.plan("a", 3.0, 30.0, 0.5)
    assert schedule.due(3.0) == ["a"]


def test_what_was_handed_out_is_known_and_has_no_time() -> None:
    schedule = Schedule()
    schedule.plan("a", 0.0, 30.0, 0.5)
    assert "a" in schedule
    schedule.due(0.0)
    assert "a" not in schedule
    assert len(schedule) == 1


def test_what_is_dropped_is_never_due() -> None:
    schedule = Schedule()
    schedule.plan("a", 0.0, 30.0, 0.5)
    schedule.plan("b", 0.0, 30.0, 0.5)
    schedule.drop("a")
    schedule.drop("unknown")
    assert schedule.next_due() == 1 / FIRSTS_PER_SECOND
    assert schedule.due(1000.0) == ["b"]
    assert "a" not in schedule
    schedule.drop("b")
    assert len(schedule) == 0


def test_the_longest_waiting_come_first() -> None:
    schedule = Schedule()
    for now, key in ((3.0, "c"), (1.0, "a"), (2.0, "b")):
        schedule.soon(key, now)
    assert schedule.due(5.0) == ["a", "b", "c"]


def test_entries_that_hold_no_more_do_not_pile_up() -> None:
    schedule = Schedule()
    for number in range(10_000):
        schedule.soon("a", -float(number))
        schedule.soon(f"b{number}", 0.0)
        schedule.drop(f"b{number}")
    assert len(schedule._heap) < 200
    assert schedule.next_due() == -9999.0

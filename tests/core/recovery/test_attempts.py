from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.core.recovery.attempts import Attempts, RecoveryLimits
from tests.core.samples import NOW, later

LIMITS = RecoveryLimits(max_attempts=5, stable_seconds=600)
chances = st.floats(0, 1, exclude_max=True)


def made(*seconds: float) -> Attempts:
    attempts = Attempts()
    for at in seconds:
        attempts = attempts.after(later(at))
    return attempts


def test_each_attempt_is_counted_with_the_first_and_the_last() -> None:
    assert made(1, 5, 42) == Attempts(3, later(1), later(42))


def test_the_first_may_begin_at_once() -> None:
    assert Attempts().next_at(LIMITS, 0.5) is None


@pytest.mark.parametrize(
    ("count", "chance", "seconds"), [(1, 0.0, 0.5), (1, 0.5, 0.75), (4, 0.0, 4), (40, 0.5, 225)]
)
def test_the_next_one_waits_twice_as_long(count: int, chance: float, seconds: float) -> None:
    attempts = Attempts(count, NOW, NOW)
    assert attempts.next_at(LIMITS, chance) == later(seconds)


@given(st.integers(1, 100_000), chances, st.floats(0, 10), st.floats(0, 1000))
def test_the_pause_is_never_negative_and_capped(
    count: int, chance: float, base: float, cap: float
) -> None:
    limits = RecoveryLimits(5, 600, base=base, cap=cap)
    due = Attempts(count, NOW, NOW).next_at(limits, chance)
    assert due is not None
    assert 0 <= (due - NOW).total_seconds() <= cap + 1e-6


def test_what_has_helped_for_long_is_forgiven() -> None:
    attempts = made(0, 100)
    assert attempts.forgiven(later(699), 600) == attempts
    assert attempts.forgiven(later(700), 600) == Attempts()
    assert Attempts().forgiven(NOW, 600) == Attempts()


@pytest.mark.parametrize(
    ("attempts", "words"),
    [
        (Attempts(), "0 times"),
        (made(7), "once"),
        (made(0, 3, 42), "3 times within 42 s"),
    ],
)
def test_in_words(attempts: Attempts, words: str) -> None:
    assert str(attempts) == words


def test_one_that_failed_for_its_provider_does_not_count() -> None:
    twice = Attempts().after(NOW).after(later(5))
    assert twice.excused() == Attempts(1, NOW, later(5), excuses=1)
    assert twice.excused().excused() == Attempts(0, NOW, later(5), excuses=2)
    assert Attempts().excused() == Attempts()


def test_one_that_does_not_count_makes_the_next_one_wait_all_the_same() -> None:
    attempts = Attempts()
    for _ in range(3):
        attempts = attempts.after(NOW).excused()
    assert (attempts.count, attempts.next_at(LIMITS, 0.0)) == (0, later(2))

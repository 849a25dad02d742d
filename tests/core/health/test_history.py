from __future__ import annotations

import math
import sys
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.core.health.history import LONGEST, WORDS_KEPT, History
from swarmd.messages.enums import HealthStatus
from swarmd.messages.health import HealthPoint
from tests.core.samples import NOW, later

POINTS = st.builds(
    HealthPoint,
    at=st.datetimes(datetime(1980, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),
    status=st.sampled_from(HealthStatus),
    seconds=st.none() | st.floats(0, 1e6, width=32),
    message=st.sampled_from(["", "it answers", "connection refused", "no route", "é" * 300]),
)


def point(number: int, message: str = "it answers") -> HealthPoint:
    return HealthPoint(at=later(number), status=HealthStatus.HEALTHY, message=message)


def same(found: HealthPoint, put: HealthPoint) -> bool:
    """Whether it is the same, apart from digits that a float of 32 bits does not hold."""
    if (found.seconds is None) != (put.seconds is None):
        return False
    close = math.isclose(found.seconds or 0, put.seconds or 0, rel_tol=1e-5, abs_tol=1e-30)
    plain = {"seconds": None, "message": put.message[:LONGEST]}
    return close and msgspec.structs.replace(found, seconds=None) == msgspec.structs.replace(
        put, **plain
    )


@given(st.lists(POINTS, max_size=40), st.integers(1, 12))
def test_it_keeps_the_last_ones_in_order(points: list[HealthPoint], size: int) -> None:
    history = History(size)
    for number, each in enumerate(points, 1):
        history.add(each)
        assert len(history) == min(number, size)
    kept = history.points()
    assert len(kept) == len(points[-size:])
    assert all(same(a, b) for a, b in zip(kept, points[-size:], strict=True))


@given(st.lists(POINTS, max_size=30), st.lists(st.integers(1, 12), min_size=1, max_size=4))
def test_another_size_keeps_the_latest_and_goes_on(
    points: list[HealthPoint], sizes: list[int]
) -> None:
    history, expected = History(12), list[HealthPoint]()
    for size in sizes:
        history.resize(size)
        expected = expected[-size:]
        for each in points:
            history.add(each)
            expected = [*expected, each][-size:]
        kept = history.points()
        assert len(kept) == len(expected) == len(history)
        assert all(same(a, b) for a, b in zip(kept, expected, strict=True))


@given(POINTS)
def test_what_was_kept_and_is_taken_up_again_stays_the_same(put: HealthPoint) -> None:
    first, second = History(1), History(1)
    first.add(put)
    second.add(first.points()[0])
    assert first.points() == second.points()


def parts(history: History) -> int:
    """All bytes of a history of its own; small numbers are shared by all of the process."""
    return (
        sys.getsizeof(history)
        + sys.getsizeof(history._rows)
        + sys.getsizeof(history._words)
        + sum(sys.getsizeof(words) for words in history._words.values())
    )


def test_a_hundred_entries_take_well_under_three_kibibytes() -> None:
    history = History(100)
    for number in range(1000):
        history.add(point(number, f"it says one of {number % 3} things"))
    assert len(history) == 100
    assert parts(history) < 2600


def test_words_that_are_told_again_are_stored_once() -> None:
    history, other = History(50), History(50)
    for number in range(50):
        history.add(point(number, f"refused at {len(history) * 0}"))
        other.add(point(number, f"refused at {len(other) * 0}"))
    assert list(history._words.values()) == ["refused at 0"]
    assert len({id(each.message) for each in (*history.points(), *other.points())}) == 1


def test_a_server_that_always_says_something_else_does_not_fill_the_memory() -> None:
    history = History(100)
    for number in range(100):
        history.add(point(number, f"{number} " + "x" * 1000))
    told = [each.message for each in history.points()]
    assert told[:-WORDS_KEPT] == [""] * (100 - WORDS_KEPT)
    assert [words.split()[0] for words in told[-WORDS_KEPT:]] == [
        str(number) for number in range(100 - WORDS_KEPT, 100)
    ]
    assert {len(words) for words in told[-WORDS_KEPT:]} == {LONGEST}


def test_the_words_told_last_stay_even_if_they_are_old() -> None:
    history = History(100)
    for number in range(60):
        history.add(point(number, "it answers" if number % 3 == 0 else f"other {number}"))
    answers = [each for each in history.points() if each.message == "it answers"]
    assert len(answers) == 20


@pytest.mark.parametrize("size", [0, -1])
def test_nothing_cannot_be_kept(size: int) -> None:
    with pytest.raises(ValueError, match="cannot be kept"):
        History(size)
    with pytest.raises(ValueError, match="cannot be kept"):
        History(3).resize(size)


def test_time_is_exact_to_the_microsecond() -> None:
    history = History(3)
    at = NOW.replace(microsecond=123457)
    history.add(HealthPoint(at=at, status=HealthStatus.UNKNOWN, seconds=0.0123))
    assert history.points() == (
        HealthPoint(at=at, status=HealthStatus.UNKNOWN, seconds=0.0123, message=""),
    )

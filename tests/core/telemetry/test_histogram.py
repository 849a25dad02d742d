"""Histograms: nothing is lost in adding, and a quantile lies where the true one lies."""

from __future__ import annotations

import math
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.core.telemetry.histogram import bucket, coarsen, merge, merged, observe, quantile
from swarmd.messages.telemetry import LATENCY_BOUNDS, Histogram
from tests.core.telemetry.samples import DURATIONS, histogram

LISTS = st.lists(DURATIONS, max_size=30)
SOME = st.lists(DURATIONS, min_size=1, max_size=60)
BOUNDS = st.lists(
    st.sampled_from(LATENCY_BOUNDS), min_size=1, max_size=8, unique=True
).map(lambda bounds: tuple(sorted(bounds)))  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "number"),
    [(0.0, 0), (0.005, 0), (0.0051, 1), (1.0, 7), (300.0, 14), (300.1, 15), (1e9, 15)],
)
def test_a_duration_falls_into_the_bucket_whose_bound_it_does_not_exceed(
    seconds: float, number: int
) -> None:
    found = observe(Histogram(), seconds)
    assert found.counts == tuple(int(each == number) for each in range(16))
    assert (found.sum, found.min, found.max, found.count) == (seconds, seconds, seconds, 1)


@given(LISTS, LISTS)
def test_merging_is_the_same_as_having_observed_all(one: list[float], other: list[float]) -> None:
    assert merge(histogram(*one), histogram(*other)) == histogram(*one, *other)


@given(LISTS, LISTS, LISTS, BOUNDS)
def test_merging_is_associative_and_commutative(
    one: list[float], two: list[float], three: list[float], bounds: tuple[float, ...]
) -> None:
    a, b = histogram(*one), histogram(*two)
    c = histogram(*three, bounds=bounds, counts=(0,) * (len(bounds) + 1))
    assert merge(a, b) == merge(b, a)
    assert merge(a, c) == merge(c, a)
    assert merge(merge(a, b), c) == merge(a, merge(b, c))
    assert merge(a, c).count == a.count + c.count


@given(LISTS, BOUNDS)
def test_fewer_bounds_are_as_if_there_never_were_more(
    durations: list[float], bounds: tuple[float, ...]
) -> None:
    fewer = histogram(*durations, bounds=bounds, counts=(0,) * (len(bounds) + 1))
    assert coarsen(histogram(*durations), bounds) == fewer


def test_bounds_that_have_nothing_in_common_leave_the_count() -> None:
    one = histogram(0.5, bounds=(1.0,), counts=(0, 0))
    other = histogram(0.5, 4.0, bounds=(3.0,), counts=(0, 0))
    found = merge(one, other)
    assert (found.bounds, found.counts, found.min, found.max) == ((), (3,), 0.5, 4.0)
    assert quantile(found, 1.0) == 4.0


@given(SOME, st.floats(0.0, 1.0))
def test_a_quantile_lies_in_the_bucket_of_the_true_one(
    durations: list[float], share: float
) -> None:
    found = histogram(*durations)
    true = sorted(durations)[max(0, math.ceil(share * len(durations)) - 1)]
    lower, upper = bucket(found, bisect_left(LATENCY_BOUNDS, true))
    value = quantile(found, share)
    assert value is not None
    assert lower - 1e-9 <= value <= upper + 1e-9
    assert min(durations) - 1e-9 <= value <= max(durations) + 1e-9


@given(SOME, st.floats(0, 1), st.floats(0, 1))
def test_a_greater_share_takes_no_less(durations: list[float], one: float, other: float) -> None:
    low, high = (quantile(histogram(*durations), share) for share in sorted((one, other)))
    assert low is not None
    assert high is not None
    assert low <= high + 1e-9


@pytest.mark.parametrize(
    ("durations", "share", "expected"),
    [
        ((), 0.5, None),
        ((2.0,), 0.0, 2.0),
        ((2.0,), 0.5, 2.0),
        ((2.0,), 1.0, 2.0),
        ((1000.0, 1000.0), 0.95, 1000.0),
        ((0.0, 10.0), 1.0, 10.0),
        ((1.5, 2.0, 2.5), 0.5, 2.0),
    ],
)
def test_quantiles(durations: tuple[float, ...], share: float, expected: float | None) -> None:
    assert quantile(histogram(*durations), share) == expected


def test_all_of_none_is_an_empty_one() -> None:
    assert merged(()) == Histogram()
    assert merged((histogram(1.0), histogram(2.0))) == histogram(1.0, 2.0)

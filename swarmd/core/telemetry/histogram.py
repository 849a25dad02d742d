"""Durations as histograms: counted, added up, asked for their quantiles."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate

from swarmd.messages.telemetry import Histogram


def observe(histogram: Histogram, seconds: float) -> Histogram:
    """One more duration. It falls into the first bucket whose bound is not below it."""
    counts = list(histogram.counts)
    counts[bisect_left(histogram.bounds, seconds)] += 1
    return Histogram(
        bounds=histogram.bounds,
        counts=tuple(counts),
        sum=histogram.sum + seconds,
        min=_least(histogram.min, seconds),
        max=_most(histogram.max, seconds),
    )


def merge(one: Histogram, other: Histogram) -> Histogram:
    """Both together; the order does not matter.

    Histograms of other versions may have other bounds: what both have is kept, and there the
    counts stay exact.
    """
    if one.bounds != other.bounds:
        common = tuple(sorted(set(one.bounds) & set(other.bounds)))
        one, other = coarsen(one, common), coarsen(other, common)
    return Histogram(
        bounds=one.bounds,
        counts=tuple(map(sum, zip(one.counts, other.counts, strict=True))),
        sum=one.sum + other.sum,
        min=_least(one.min, other.min),
        max=_most(one.max, other.max),
    )


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """All of them together."""
    total: Histogram | None = None
    for each in histograms:
        total = each if total is None else merge(total, each)
    return total or Histogram()


def coarsen(histogram: Histogram, bounds: tuple[float, ...]) -> Histogram:
    """The same with fewer bounds, all of which it has."""
    below = dict(zip(histogram.bounds, accumulate(histogram.counts), strict=False))
    cumulative = [*(below[bound] for bound in bounds), histogram.count]
    counts = tuple(now - before for before, now in zip([0, *cumulative], cumulative, strict=False))
    return Histogram(
        bounds=bounds, counts=counts, sum=histogram.sum, min=histogram.min, max=histogram.max
    )


def quantile(histogram: Histogram, share: float) -> float | None:
    """The duration that this share of all does not exceed, in seconds; None if there is none.

    Within its bucket it is interpolated, as Prometheus' ``histogram_quantile`` does it, between
    the shortest and the longest that were seen.

    Args:
        histogram: Of what.
        share: From 0 to 1.
    """
    count = histogram.count
    if not count or histogram.min is None or histogram.max is None:
        return None
    rank, before = share * count, 0
    for number, inside in enumerate(histogram.counts):
        if inside and before + inside >= rank:
            lower, upper = bucket(histogram, number)
            return lower + (upper - lower) * max(0.0, rank - before) / inside
        before += inside
    return histogram.max


def bucket(histogram: Histogram, number: int) -> tuple[float, float]:
    """Between which durations those of a bucket lie, as far as is known."""
    shortest, longest = histogram.min or 0.0, histogram.max or 0.0
    bounds = histogram.bounds
    lower = max(shortest, bounds[number - 1]) if number else shortest
    upper = min(longest, bounds[number]) if number < len(bounds) else longest
    return lower, upper


def _least(one: float | None, other: float | None) -> float | None:
    return min((each for each in (one, other) if each is not None), default=None)


def _most(one: float | None, other: float | None) -> float | None:
    return max((each for each in (one, other) if each is not None), default=None)
